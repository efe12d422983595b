/// The latencies of all strategies, one line each: percentiles, and a histogram drawn in
/// characters.
#ifndef COUPON_RACE_REPORT_LATENCY_TABLE_HPP
#define COUPON_RACE_REPORT_LATENCY_TABLE_HPP

#include <string>

#include "judge/latency_histogram.hpp"
#include "report/race_report.hpp"
#include "report/terminal.hpp"

namespace coupon_race {

/// The scale on which all strategies of a report can be compared.
latency_scale latency_scale_of(const race_report &report);

/// With a heading that says where the decades begin; nothing if nothing was measured. The tallest
/// bucket of each strategy is as tall as a line.
std::string latency_table(const race_report &report, charset characters, bool colour);

} // namespace coupon_race

#endif
