/// What the runners of a race remember of it, and what the database does.
#ifndef COUPON_RACE_SCENARIO_RACE_LOG_HPP
#define COUPON_RACE_SCENARIO_RACE_LOG_HPP

#include <chrono>
#include <cstdint>
#include <vector>

#include "strategies/strategy.hpp"

namespace coupon_race {

using race_clock = std::chrono::steady_clock;

/// One request: who, when, and with what answer.
struct logged_attempt {
    std::int64_t user = 0;
    int client = 0; ///< who made it, numbered from 0
    race_clock::time_point started;
    race_clock::time_point ended; ///< after its last repetition
    attempt result;
};

using race_log = std::vector<logged_attempt>;

/// One redemption as it stands in the ledger after the race.
struct ledger_row {
    std::int64_t redemption_id = 0;
    std::int64_t user = 0;
};

} // namespace coupon_race

#endif
