/// Figures and lists for a person.
#ifndef COUPON_RACE_WORDS_HPP
#define COUPON_RACE_WORDS_HPP

#include <string>
#include <vector>

#include "race_log.hpp"

namespace coupon_race {

/// "870 us", "1.23 ms", "45.6 ms", "1.20 s": three figures, as far as they say something.
std::string duration_text(duration value);
/// "1 ms": for one that is a round number of its unit.
std::string round_duration_text(duration value);

/// "1 user", "2 users"
std::string counted_text(std::int64_t count, const std::string &thing);
/// "a", "a and b", "a, b and c"
std::string list_text(const std::vector<std::string> &names);

} // namespace coupon_race

#endif
