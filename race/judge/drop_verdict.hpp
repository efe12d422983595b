/// Was every unit sold once, and nobody sent away while one was left? Pure functions.
#ifndef COUPON_RACE_JUDGE_DROP_VERDICT_HPP
#define COUPON_RACE_JUDGE_DROP_VERDICT_HPP

#include <cstdint>
#include <vector>

#include "judge/verdict.hpp"
#include "scenario/drop.hpp"

namespace coupon_race {

/// How many refusals were false.
///
/// A refusal is false if, when it was told, COMMIT had been sent for fewer than `cap` of the
/// redemptions that stand in the ledger: whatever happened in between, at no moment of that request
/// were all units sold for good. A unit was left then, or in a transaction that was still to be
/// rolled back, and the request should have taken it or waited. Every refusal at a moment when
/// units are left and nobody is in flight is among these.
///
/// It is never said of a true one: a redemption whose commit the refusal can have seen was sent to
/// COMMIT before the refusal was told, by the one clock of the runner.
std::int64_t false_sold_outs(const drop_log &log, const std::vector<ledger_row> &ledger,
                             std::int64_t cap);

/// Judges a drop, every buyer once:
///
/// - over the cap: rows beyond it
/// - false sold-outs, as above
/// - double redemptions: rows beyond the first of each buyer
/// - lost: acknowledged redemptions whose row is not there
/// - unasked: rows of buyers who were refused, rolled back or saw an error
/// - broken invariants: of the strategy's own tables (for redeem_coupon: what coupon_guard_verify()
///   tells, and quota + rows = cap)
///
/// An unknown outcome may have a row or none. The verdict is unknown if a purchase failed or there
/// was none.
judgement judge_drop(const drop_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap,
                     std::int64_t broken_invariants);

} // namespace coupon_race

#endif
