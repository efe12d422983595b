/// Files that are in the program (embedded.cmake).
#ifndef COUPON_RACE_EMBEDDED_HPP
#define COUPON_RACE_EMBEDDED_HPP

#include <string>

namespace coupon_race {

/// The text of a file: "page.html", or one of rivals/ ("drop/textbook.sql"). Throws
/// std::logic_error if there is none of that name.
const std::string &embedded(const std::string &name);

} // namespace coupon_race

#endif
