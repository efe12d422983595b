/// Which attempts are worth showing one by one, and where: a race may have millions of them.
#ifndef COUPON_RACE_REPORT_TIMELINE_HPP
#define COUPON_RACE_REPORT_TIMELINE_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "race_log.hpp"

namespace coupon_race {

/// What is wrong with a redemption that stands in the ledger.
enum class excess { none, double_redemption, over_the_cap };

/// An attempt, and what the ledger says of it.
struct seen_attempt {
    const attempt *made = nullptr; ///< in a log that must outlive this
    bool in_ledger = false;        ///< a row of the ledger is its own
    excess wrong = excess::none;
};

bool answered_before(const seen_attempt &one, const seen_attempt &other);
/// When the first of them was started.
race_clock::time_point beginning_of(const std::vector<seen_attempt> &attempts);

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

/// Of a double-click: some rounds, a row for each request, in the order of the answers, timed from
/// the beginning of its round. They are the ones from the first with a double redemption on, or the
/// first of all.
timeline timeline_of_rounds(const std::vector<seen_attempt> &attempts);

/// Of clients who serve one buyer after the other: a row for each client, timed from the beginning
/// of the race. Shown is what happened around the first excess, else around the sale of the last
/// unit, else the beginning.
timeline timeline_of_clients(const std::vector<seen_attempt> &attempts, std::int64_t cap);

} // namespace coupon_race

#endif
