/// What the clients of a race remember of it, and what the database does.
#ifndef COUPON_RACE_RACE_LOG_HPP
#define COUPON_RACE_RACE_LOG_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace coupon_race {

using race_clock = std::chrono::steady_clock;
using duration = std::chrono::nanoseconds;

/// How a request ended, as the client that made it sees it.
enum class outcome {
    redeemed,    ///< acknowledged: committed, as far as the client was told
    refused,     ///< the user has it already, or all is sold
    rolled_back, ///< as the buyer wished, with a unit in hand
    walked_away, ///< from a hold
    expired,     ///< the hold was confirmed too late
    failed,      ///< an error; nothing was redeemed
    unknown,     ///< the connection broke before the outcome was told
};

/// Of a checkout: a unit was held.
inline bool had_unit(outcome what) {
    return what == outcome::redeemed || what == outcome::walked_away || what == outcome::expired;
}

/// One request, with all its repetitions.
struct attempt {
    std::int64_t user = 0;
    int client = 0; ///< who made it, numbered from 0
    race_clock::time_point started;
    race_clock::time_point ended; ///< after its last repetition
    coupon_race::outcome outcome = outcome::failed;
    /// With `redeemed`: which row is meant to be ours. Of a claim the row is the code's.
    std::optional<std::int64_t> redemption_id;
    int retries = 0;
    int connections_lost = 0;
    std::int64_t amount = 0; ///< of a budget: what was asked for
    std::string error;       ///< with `failed` and `unknown`
    /// Of a drop, a budget or a claim: when COMMIT was sent, the first time that it was.
    std::optional<race_clock::time_point> commit_sent;
    /// Of a checkout: coming again and again while all was held by others.
    duration until_held{};
};

using race_log = std::vector<attempt>;

/// One redemption as it stands in the ledger after the race.
struct ledger_row {
    std::int64_t redemption_id = 0;
    std::int64_t user = 0;
    std::int64_t amount = 0; ///< 0: none
};

/// All that is known of one strategy's race when it is over.
struct race_result {
    race_log log;
    std::vector<ledger_row> ledger;
    std::int64_t broken_invariants = 0; ///< of the strategy's own tables
    std::int64_t came_back = 0;         ///< of a checkout: holds whose unit was taken back
    duration blocked{};                 ///< waiting for locks, all backends together
    // Of a race over shards:
    std::int64_t transfers = 0; ///< of units, from one shard to another
    std::int64_t crashes = 0;   ///< of shards
    std::int64_t cuts = 0;      ///< of the network between the router and a shard
};

} // namespace coupon_race

#endif
