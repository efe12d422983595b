/// A whole run, from a place to race in to the report.
#ifndef COUPON_RACE_RUN_HPP
#define COUPON_RACE_RUN_HPP

#include "report/race_report.hpp"
#include "settings.hpp"

namespace coupon_race {

/// Finds or starts the server, checks what the race needs, races one strategy after the other in a
/// database made for it, and leaves the server as it was. Throws setup_error, `interrupted`, or
/// what the database layer throws.
race_report run(const settings &wanted);

} // namespace coupon_race

#endif
