/// The figures and the latencies of all strategies, side by side.
#ifndef COUPON_RACE_REPORT_TABLES_HPP
#define COUPON_RACE_REPORT_TABLES_HPP

#include <string>
#include <vector>

#include "judge/latency.hpp"
#include "report/race_report.hpp"
#include "report/terminal.hpp"

namespace coupon_race {

struct cell {
    std::string text; ///< one byte a character
    style look = style::plain;
};
using table = std::vector<std::vector<cell>>;

/// The first row is the heading. A column is as wide as its widest cell; all but the first and the
/// last are figures and stand to the right. No line ends in blanks.
std::string render_table(const table &rows, bool colour);

/// The titles, then a row a strategy; the verdict stands last. Nothing if there is no strategy.
table summary_table(const race_report &report);

/// The scale on which the latencies of all strategies of a report can be compared.
latency_scale latency_scale_of(const race_report &report);

/// One line a strategy: percentiles, and a histogram drawn in characters, with a heading that says
/// where the decades begin; nothing if nothing was measured. The tallest bucket of each strategy is
/// as tall as a line.
std::string latency_table(const race_report &report, charset characters, bool colour);

} // namespace coupon_race

#endif
