/// The report for a person: a heading, a table, the latencies, and what was seen in plain
/// sentences.
#ifndef COUPON_RACE_REPORT_AS_TEXT_HPP
#define COUPON_RACE_REPORT_AS_TEXT_HPP

#include <string>

#include "report/duration_text.hpp"
#include "report/race_report.hpp"
#include "report/terminal.hpp"

namespace coupon_race {

std::string as_text(const race_report &report, charset characters, bool colour);

/// What was seen, one line a sentence.
std::string conclusions(const race_report &report);

} // namespace coupon_race

#endif
