/// The report for a person: a heading, a table, and what was seen in plain sentences.
#ifndef COUPON_RACE_REPORT_AS_TEXT_HPP
#define COUPON_RACE_REPORT_AS_TEXT_HPP

#include <string>

#include "report/race_report.hpp"

namespace coupon_race {

std::string as_text(const race_report &report, bool colour);

/// What was seen, one line a sentence.
std::string conclusions(const race_report &report);

/// "870 us", "1.23 ms", "45.6 ms", "1.20 s": three figures, as far as they say something.
std::string duration_text(duration value);

} // namespace coupon_race

#endif
