// How one redemption flows:
//
//   1. Lock the ledger as any INSERT does, then read the coupon in its newest committed state.
//      Whoever must wait for the redemptions in flight (a delete of the coupon) takes a stronger
//      lock on the ledger: once it has it, none is still acting on the coupon's old row.
//   2. Judge the coupon: active, within its window.
//   3. Look at what the user has redeemed of it, transactions in progress included. At the limit:
//      answer, nothing written. Undecided: wait for the rival, start over.
//   4. Insert, with the unique index as the only arbiter. Refused: a rival was faster, start over.
//
// The only lock ever waited for is a rival's transaction, and nothing but the ledger's table lock
// and the caller's own rows is held meanwhile: a deadlock needs a caller that redeems several
// coupons in one transaction, in an order of its own, and the server's detector ends it (40P01).
//
// Every round of the loop begins with the coupon's newest state and the clock, for after a wait
// both may have changed. A round that does not end has seen a rival win, so the loop ends when
// rivals do.

#include "redeem.hpp"

namespace coupon_guard {
namespace {

// False if a rival came between, so that the round must be played again.
bool try_redeem(const schema &objects, const redeem_request &request, redeem_answer &answer) {
    answer = {};
    answer.has_offer = find_coupon(objects, request.key, answer.offer);
    if (!answer.has_offer) {
        answer.status = status::not_found;
        return true;
    }
    TimestampTz now = GetCurrentTimestamp();
    answer.status = judge_coupon(answer.offer, now);
    if (answer.status != status::redeemed)
        return true;

    usage seen = read_usage(objects, answer.offer, request.user);
    switch (seen.verdict) {
    case allowance::used_up:
        answer.status = status::already_redeemed;
        answer.has_redemption = true;
        answer.made = seen.latest;
        return true;
    case allowance::undecided:
        wait_for_rival(objects, seen.rival);
        return false;
    case allowance::free:
        break;
    }
    const new_redemption wanted = {answer.offer.id,  &request.user,       seen.free_use_no, now,
                                   request.metadata, request.has_metadata};
    answer.has_redemption = append_redemption(objects, wanted, answer.made);
    return answer.has_redemption;
}

} // namespace

redeem_answer redeem(const redeem_request &request, schema &objects) {
    PreventCommandIfReadOnly("redeem_coupon()");
    PreventCommandIfParallelMode("redeem_coupon()");
    objects = lock_schema(request.function, RowExclusiveLock);
    redeem_answer answer;
    while (!try_redeem(objects, request, answer))
        CHECK_FOR_INTERRUPTS();
    return answer;
}

} // namespace coupon_guard
