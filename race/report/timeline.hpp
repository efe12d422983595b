/// Which attempts are worth showing one by one, and where: a race may have millions of them.
#ifndef COUPON_RACE_REPORT_TIMELINE_HPP
#define COUPON_RACE_REPORT_TIMELINE_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "report/seen_attempt.hpp"

namespace coupon_race {

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
    std::string shown; ///< a sentence: which of them, of how many, and why these
    duration since{};  ///< where the picture begins; an entry may have begun before
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
