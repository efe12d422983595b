/// Columns that line up.
#ifndef COUPON_RACE_REPORT_TEXT_TABLE_HPP
#define COUPON_RACE_REPORT_TEXT_TABLE_HPP

#include <string>
#include <vector>

#include "report/terminal.hpp"

namespace coupon_race {

struct cell {
    std::string text; ///< one byte a character
    style look = style::plain;
};

/// The first row is the heading. A column is as wide as its widest cell; all but the first and the
/// last are figures and stand to the right. No line ends in blanks.
std::string render_table(const std::vector<std::vector<cell>> &rows, bool colour);

} // namespace coupon_race

#endif
