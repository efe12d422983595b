/// The scenario `double-click`: one user sends the same request several times at once.
#ifndef COUPON_RACE_SCENARIO_DOUBLE_CLICK_HPP
#define COUPON_RACE_SCENARIO_DOUBLE_CLICK_HPP

#include <cstdint>
#include <functional>
#include <string>

#include "scenario/race_log.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

inline constexpr char double_click_name[] = "double-click";

/// The coupon that is raced for, and one for warming up: connections, plans and pages, so that the
/// strategy that runs first does not pay for all.
inline constexpr char raced_code[] = "SAVE10";
inline constexpr char warm_up_code[] = "WARM-UP";

struct double_click {
    int clients = 2;         ///< requests at once, each on a connection of its own
    std::int64_t rounds = 1; ///< each with a user of its own, numbered from 1
};

/// Runs all rounds; returns what was answered, in no particular order. `session` is handed on to
/// the strategy, with the seed different for each client. `progress` is called now and then, on the
/// calling thread, with the rounds begun. Throws `interrupted`.
race_log run(const double_click &scenario, const strategy &raced, const session_settings &session,
             const std::function<void(std::int64_t)> &progress);

} // namespace coupon_race

#endif
