/// An attempt of any scenario, seen from outside: what became of it, and whether it should have.
#ifndef COUPON_RACE_REPORT_SEEN_ATTEMPT_HPP
#define COUPON_RACE_REPORT_SEEN_ATTEMPT_HPP

#include <cstdint>
#include <optional>
#include <vector>

#include "judge/latency_histogram.hpp"
#include "scenario/checkout.hpp"
#include "scenario/drop.hpp"
#include "scenario/race_log.hpp"

namespace coupon_race {

enum class outcome { redeemed, refused, rolled_back, walked_away, expired, failed, unknown };

/// What is wrong with a redemption that stands in the ledger.
enum class excess { none, double_redemption, over_the_cap };

struct seen_attempt {
    const logged_attempt *made = nullptr; ///< in a log that must outlive this
    coupon_race::outcome outcome = outcome::failed;
    duration until_held{};  ///< of a checkout: how long it took to get a unit
    bool in_ledger = false; ///< a row of the ledger is its own
    excess wrong = excess::none;
};

/// In the order of the log; `in_ledger` and `wrong` are still to be found out.
std::vector<seen_attempt> seen(const race_log &log);
std::vector<seen_attempt> seen(const drop_log &log);
std::vector<seen_attempt> seen(const checkout_log &log);

/// Gives the rows of the ledger to those who were told of them, then to those who were never told,
/// and marks what is too much: of each user all rows but the one whose owner was answered first;
/// of a coupon with a cap those whose owners were answered when it was sold out by the answers
/// before.
void compare_with_ledger(std::vector<seen_attempt> &attempts, const std::vector<ledger_row> &ledger,
                         std::optional<std::int64_t> cap);

} // namespace coupon_race

#endif
