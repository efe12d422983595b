/// The scenario `drop`: a capped coupon, more buyers than units, all at once; some change their
/// mind after they have redeemed and before they pay, and some connections break.
#ifndef COUPON_RACE_SCENARIO_DROP_HPP
#define COUPON_RACE_SCENARIO_DROP_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "scenario/race_log.hpp"
#include "strategies/drop_strategy.hpp"

namespace coupon_race {

inline constexpr char drop_name[] = "drop";

struct drop {
    int clients = 32; ///< buyers at once, each on a connection of its own
    std::int64_t buyers = 2000;
    std::int64_t cap = 500;
    double rollback_rate = 0.1;                ///< of those who got a unit: roll back
    double kill_rate = 0.02;                   ///< of those who got a unit: their backend is killed
    std::chrono::microseconds hold_time{2000}; ///< in the open transaction, with the unit
};

/// What is to become of a purchase that gets a unit, for the first time that it does.
enum class fate {
    commit,
    roll_back,
    killed_before_commit,
    killed_at_commit,    ///< by somebody else while COMMIT is sent: before or after its record
    killed_after_commit, ///< the record is written, and the client is never told
};

/// The same for the same buyer and seed, so that every strategy meets the same buyers.
fate fate_of(const drop &scenario, std::uint64_t seed, std::int64_t buyer);

/// One purchase, with all its repetitions. `result.answer` is `refused` for sold out; who rolled
/// back is in `rolled_back`, and has no answer worth judging.
struct purchase : logged_attempt {
    bool rolled_back = false;
    int connections_lost = 0;
    /// When COMMIT was sent, the first time that it was.
    std::optional<race_clock::time_point> commit_sent;
};

using drop_log = std::vector<purchase>;

struct drop_result {
    drop_log log;
    std::chrono::nanoseconds blocked{0}; ///< waiting for locks, all backends together
};

/// Sells until every buyer has been served. `progress` is called now and then, on the calling
/// thread, with the number of buyers that have come. Throws `interrupted`.
drop_result run(const drop &scenario, const drop_strategy &raced, const std::string &connection,
                std::uint64_t seed, const std::function<void(std::int64_t)> &progress);

} // namespace coupon_race

#endif
