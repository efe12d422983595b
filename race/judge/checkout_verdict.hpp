/// Was every unit confirmed once, and what was abandoned sold again? Pure.
#ifndef COUPON_RACE_JUDGE_CHECKOUT_VERDICT_HPP
#define COUPON_RACE_JUDGE_CHECKOUT_VERDICT_HPP

#include <cstdint>
#include <vector>

#include "judge/verdict.hpp"
#include "scenario/checkout.hpp"

namespace coupon_race {

/// Judges a checkout by its ledger of confirmed redemptions:
///
/// - over the cap: rows beyond it
/// - left unsold: units that nobody has confirmed though somebody was sent home without a hold:
///   abandoned ones that never came back
/// - double redemptions, lost, unasked, broken invariants: as for a drop
judgement judge_checkout(const checkout_log &log, const std::vector<ledger_row> &ledger,
                         std::int64_t cap, std::int64_t broken_invariants);

} // namespace coupon_race

#endif
