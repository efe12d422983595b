/// The report as a page for a browser: the same figures, the attempts themselves, and charts.
#ifndef COUPON_RACE_REPORT_AS_HTML_HPP
#define COUPON_RACE_REPORT_AS_HTML_HPP

#include <string>

#include "report/race_report.hpp"

namespace coupon_race {

/// One file that needs no other and no network. However large the race was, it is not much larger
/// than the script in it that draws the charts: of each strategy at most `most_entries` attempts
/// are shown one by one.
std::string as_html(const race_report &report);

} // namespace coupon_race

#endif
