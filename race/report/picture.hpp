/// What a page can show of one strategy's race beyond its figures: which attempts are worth showing
/// one by one, and where, for a race may have millions of them; latencies by outcome; sales.
#ifndef COUPON_RACE_REPORT_PICTURE_HPP
#define COUPON_RACE_REPORT_PICTURE_HPP

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "judge/latency.hpp"
#include "race_log.hpp"

namespace coupon_race {

/// What is wrong with a redemption that stands in the ledger.
enum class excess { none, double_redemption, over_the_cap, over_the_budget };

struct timeline_entry {
    std::size_t row = 0;
    std::int64_t user = 0;
    duration from{};
    duration held{}; ///< of a checkout that got a unit: when; else `from`
    duration to{};
    coupon_race::outcome outcome = outcome::failed;
    excess wrong = excess::none;
    int retries = 0;
    std::string error;
};

struct timeline {
    /// A sentence: which of them, of how many, and why these.
    std::string shown = "No attempt was made.";
    duration since{}; ///< where the picture begins; an entry may have begun before
    std::vector<std::string> rows;
    std::vector<timeline_entry> entries;
};

/// No page shows more than this, however large the race; and those under way when the picture
/// begins.
inline constexpr std::size_t most_rows = 64;
inline constexpr std::size_t most_entries = 600;

/// So many units were sold, or so much of a budget spent, when that time had passed.
struct sale_point {
    duration after{};
    std::int64_t sold = 0;
};

struct picture {
    coupon_race::timeline timeline;
    std::map<outcome, latency_histogram> latency;
    std::vector<sale_point> sales; ///< where there is a limit: no more than some hundred points
};

/// `cap` and `budget` are 0 if there is none; a race has one of them at the most.
picture picture_of(const race_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap = 0,
                   std::int64_t budget = 0);

} // namespace coupon_race

#endif
