/// The report for a person: a heading, a table, the latencies, and what was seen in plain
/// sentences.
#ifndef COUPON_RACE_REPORT_FORMS_HPP
#define COUPON_RACE_REPORT_FORMS_HPP

#include <string>

#include "report/race_report.hpp"
#include "report/terminal.hpp"
#include "words.hpp"

namespace coupon_race {

std::string as_text(const race_report &report, charset characters, bool colour);

/// What was seen, one line a sentence.
std::string conclusions(const race_report &report);

} // namespace coupon_race

#endif
