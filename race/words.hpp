/// Durations for a person.
#ifndef COUPON_RACE_WORDS_HPP
#define COUPON_RACE_WORDS_HPP

#include <string>

#include "judge/latency.hpp"

namespace coupon_race {

/// "870 us", "1.23 ms", "45.6 ms", "1.20 s": three figures, as far as they say something.
std::string duration_text(duration value);

/// "1 ms": for one that is a round number of its unit.
std::string round_duration_text(duration value);

} // namespace coupon_race

#endif
