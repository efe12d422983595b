/// The scenario `checkout`: a unit is held while its buyer thinks, who then confirms or walks away.
/// What was abandoned is to be sold to somebody else when the hold's time is up.
#ifndef COUPON_RACE_SCENARIO_CHECKOUT_HPP
#define COUPON_RACE_SCENARIO_CHECKOUT_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scenario/race_log.hpp"
#include "strategies/checkout_strategy.hpp"

namespace coupon_race {

inline constexpr char checkout_name[] = "checkout";

struct checkout {
    int clients = 32; ///< buyers at once, each on a connection of its own
    std::int64_t buyers = 1000;
    std::int64_t cap = 200;
    double walk_away_rate = 0.3;                 ///< of those who hold a unit
    std::chrono::microseconds think_time{20000}; ///< from the hold to its confirmation
    std::chrono::microseconds ttl{200000};       ///< how long a unit is held
    /// How long one who finds everything held comes again, besides twenty times the ttl.
    std::chrono::microseconds patience{10000000};
};

/// The same for the same buyer and seed, so that every strategy meets the same buyers.
bool walks_away(const checkout &scenario, std::uint64_t seed, std::int64_t buyer);

/// One buyer's visit. `result.answer` is `refused` for who went home without a hold, or confirmed
/// too late (`expired`); who walked away has no answer worth judging.
struct visit : logged_attempt {
    bool walked_away = false;
    bool expired = false;
    std::chrono::nanoseconds until_held{0}; ///< coming again and again while all was held by others
};

using checkout_log = std::vector<visit>;

/// Serves all buyers. One who finds everything held comes again until the units are all confirmed,
/// or patience ends, which is long after the abandoned ones should have come back. `progress` is
/// called now and then, on the calling thread, with the number of buyers that have come. Throws
/// `interrupted`.
checkout_log run(const checkout &scenario, const checkout_strategy &raced,
                 const std::string &connection, std::uint64_t seed,
                 const std::function<void(std::int64_t)> &progress);

} // namespace coupon_race

#endif
