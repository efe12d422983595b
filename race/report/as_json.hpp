/// The report for a program: the same figures, and the settings they were made with.
#ifndef COUPON_RACE_REPORT_AS_JSON_HPP
#define COUPON_RACE_REPORT_AS_JSON_HPP

#include <string>

#include "report/race_report.hpp"

namespace coupon_race {

/// Pretty-printed, with a line end. Durations are in milliseconds.
std::string as_json(const race_report &report);

} // namespace coupon_race

#endif
