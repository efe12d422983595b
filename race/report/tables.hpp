/// The figures of all strategies side by side.
#ifndef COUPON_RACE_REPORT_TABLES_HPP
#define COUPON_RACE_REPORT_TABLES_HPP

#include <vector>

#include "report/race_report.hpp"
#include "report/text_table.hpp"

namespace coupon_race {

/// The titles, then a row a strategy; the verdict stands last. Nothing if there is no strategy.
std::vector<std::vector<cell>> summary_table(const race_report &report);

} // namespace coupon_race

#endif
