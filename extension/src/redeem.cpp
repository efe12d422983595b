// How one redemption flows:
//
//   1. Lock the ledger as any INSERT does, then read the coupon in its newest committed state.
//      Whoever must wait for the redemptions in flight (delete of the coupon, first cap) takes a
//      stronger lock on the ledger: once it has it, none is still acting on the coupon's old row.
//   2. Request id given and used before: answer with what was done then.
//   3. Judge the coupon: active, within its window. A live hold of the user outlasts that.
//   4. Look at what the user has redeemed of it, transactions in progress included. A hold is
//      confirmed. At the limit: answer, nothing written. Undecided: wait for the rival, start over.
//   5. Capped: take a unit (quota.cpp). None left: answer. Undecided: wait, start over.
//   6. Insert, with the unique indexes as the only arbiters. Refused: a rival was faster; keep the
//      unit for the next round, start over.
//
// Waiting is always for a transaction to end, with nothing held meanwhile but the ledger's table
// lock and what the transaction has written before: a deadlock needs a caller that redeems several
// coupons in one transaction, in an order of its own, and the server's detector ends it (40P01).
//
// Every round begins with the coupon's newest state and the clock, for after a wait both may have
// changed. A round that does not end has seen a rival win, so the loop ends when rivals do.

#include "redeem.hpp"

#include "quota.hpp"
#include "quota_ahead.hpp"
#include "refusal.hpp"
#include "sold_out.hpp"

namespace coupon_guard {
namespace {

// Whether the answer is found, or the round must be played again.
enum class round_end : unsigned char { answered, again };

round_end end_with(redeem_answer &answer, status what) {
    answer.status = what;
    return round_end::answered;
}

round_end end_with(redeem_answer &answer, status what, const redemption &made) {
    answer.made = made;
    answer.has_redemption = true;
    return end_with(answer, what);
}

round_end wait_and_play_again(const rival &rival) {
    if (TransactionIdIsValid(rival.transaction))
        wait_for_rival(rival);
    return round_end::again;
}

TimestampTz deadline_after(TimestampTz moment, const Interval *duration) {
    return DatumGetTimestampTz(DirectFunctionCall2(
        timestamptz_pl_interval, TimestampTzGetDatum(moment), IntervalPGetDatum(duration)));
}

const request_id *request_of(const redeem_request &request) {
    return request.has_request ? &request.request : nullptr;
}

round_end confirm(const schema &objects, const redeem_request &request, redeem_answer &answer,
                  redemption hold, TimestampTz now) {
    if (confirm_hold_row(objects, hold, now, request_of(request), request.metadata,
                         request.has_metadata) != row_change::done)
        return round_end::again;
    hold.hold_expires_at = no_deadline;
    hold.redeemed_at = now;
    return end_with(answer, status::redeemed, hold);
}

// The user has a hold, live or expired. Either way it has its unit, unless a rival takes it over
// just now, and then its row has changed.
round_end use_hold(const schema &objects, const redeem_request &request, redeem_answer &answer,
                   redemption hold, TimestampTz now) {
    if (request.hold_for == nullptr)
        return confirm(objects, request, answer, hold, now);
    if (hold.hold_expires_at > now) {
        answer.is_replayed = true;
        return end_with(answer, status::held, hold);
    }
    hold.hold_expires_at = deadline_after(now, request.hold_for);
    if (extend_hold_row(objects, hold, hold.hold_expires_at) != row_change::done)
        return round_end::again;
    return end_with(answer, status::held, hold);
}

// The request id has been used by this user before.
round_end replay(const schema &objects, const redeem_request &request, redeem_answer &answer,
                 const redemption &made, TimestampTz now) {
    if (answer.has_offer && answer.offer.id != made.coupon_id)
        report_reused_request(request.request);
    answer.has_offer = answer.has_offer || find_coupon(objects, made.coupon_id, answer.offer);
    bool wants_hold = request.hold_for != nullptr;
    if (is_hold(made) && !made.is_voided && made.hold_expires_at > now && !wants_hold)
        return confirm(objects, request, answer, made, now);
    answer.is_replayed = true;
    if (!is_hold(made))
        return end_with(answer, status::redeemed, made);
    if (made.is_voided || made.hold_expires_at <= now)
        return end_with(answer, status::expired);
    return end_with(answer, status::held, made);
}

round_end refuse(const schema &objects, const redeem_request &request, redeem_answer &answer,
                 status reason, TimestampTz now) {
    if (request.hold_for == nullptr) {
        usage seen = read_usage(objects, answer.offer, request.user);
        if (seen.verdict == allowance::has_hold && seen.latest.hold_expires_at > now)
            return confirm(objects, request, answer, seen.latest, now);
    }
    return end_with(answer, reason);
}

round_end redeem_new(const schema &objects, const redeem_request &request, redeem_answer &answer,
                     int32 use_no, TimestampTz now) {
    bool wants_hold = request.hold_for != nullptr;
    if (is_capped(answer.offer)) {
        if (is_known_sold_out(answer.offer.id, now))
            return end_with(answer, status::sold_out);
        rival other;
        switch (take_unit(objects, answer.offer, now, other)) {
        case supply::sold_out: // the user's other call may have had the last unit meanwhile
            if (read_usage(objects, answer.offer, request.user).verdict != allowance::free)
                return round_end::again;
            return end_with(answer, status::sold_out);
        case supply::undecided:
            return wait_and_play_again(other);
        case supply::taken:
            break;
        }
    }
    const new_redemption wanted = {
        answer.offer.id,
        &request.user,
        use_no,
        now,
        wants_hold ? deadline_after(now, request.hold_for) : no_deadline,
        request_of(request),
        request.metadata,
        request.has_metadata,
    };
    redemption made;
    if (append_redemption(objects, wanted, made))
        return end_with(answer, wants_hold ? status::held : status::redeemed, made);
    if (is_capped(answer.offer))
        keep_unused_unit(objects, answer.offer.id);
    return round_end::again;
}

round_end play_round(const schema &objects, const redeem_request &request, redeem_answer &answer) {
    memset(&answer, 0, sizeof answer);
    answer.has_offer = find_coupon(objects, request.key, answer.offer);
    TimestampTz now = GetCurrentTimestamp();
    if (request.has_request) {
        redemption made;
        rival other;
        switch (find_request(objects, request.user, request.request, made, other)) {
        case lookup::found:
            return replay(objects, request, answer, made, now);
        case lookup::undecided:
            return wait_and_play_again(other);
        case lookup::missing:
            break;
        }
    }
    if (!answer.has_offer)
        return end_with(answer, status::not_found);
    status judged = judge_coupon(answer.offer, now);
    if (judged != status::redeemed)
        return refuse(objects, request, answer, judged, now);

    usage seen = read_usage(objects, answer.offer, request.user);
    switch (seen.verdict) {
    case allowance::used_up:
        return end_with(answer, status::already_redeemed, seen.latest);
    case allowance::has_hold:
        return use_hold(objects, request, answer, seen.latest, now);
    case allowance::undecided:
        return wait_and_play_again(seen.rival);
    case allowance::free:
        break;
    }
    return redeem_new(objects, request, answer, seen.free_use_no, now);
}

} // namespace

schema lock_schema_to_write(Oid function, const char *function_name) {
    PreventCommandIfReadOnly(function_name);
    PreventCommandIfParallelMode(function_name);
    return lock_schema(function, RowExclusiveLock);
}

redeem_answer redeem(const schema &objects, const redeem_request &request) {
    redeem_answer answer;
    while (play_round(objects, request, answer) == round_end::again)
        CHECK_FOR_INTERRUPTS();
    return answer;
}

redeem_answer confirm_hold(const schema &objects, int64 id) {
    redeem_request no_request;
    memset(&no_request, 0, sizeof no_request);
    redeem_answer answer;
    redemption found;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        memset(&answer, 0, sizeof answer);
        if (!find_redemption(objects, id, found))
            report_unknown_redemption(id);
        answer.has_offer = find_coupon(objects, found.coupon_id, answer.offer);
        TimestampTz now = GetCurrentTimestamp();
        if (found.is_voided || (is_hold(found) && found.hold_expires_at <= now)) {
            end_with(answer, status::expired);
            return answer;
        }
        if (!is_hold(found)) {
            answer.is_replayed = true;
            end_with(answer, status::redeemed, found);
            return answer;
        }
        if (confirm(objects, no_request, answer, found, now) == round_end::answered)
            return answer;
    }
}

bool void_redemption(const schema &objects, int64 id, Datum reason, bool has_reason) {
    redemption found;
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        if (!find_redemption(objects, id, found))
            report_unknown_redemption(id);
        if (found.is_voided)
            return false;
        bool has_quota = is_quota_set_up(objects, found.coupon_id);
        if (void_row(objects, found, GetCurrentTimestamp(), reason, has_reason, LockWaitBlock) !=
            row_change::done)
            continue;
        if (has_quota)
            return_units(objects, found.coupon_id, 1);
        return true;
    }
}

coupon_check check_coupon(const schema &objects, const user_id &user, const code_key &key) {
    coupon_check check;
    memset(&check, 0, sizeof check);
    check.has_offer = find_coupon(objects, key, check.offer);
    if (!check.has_offer) {
        check.status = status::not_found;
        return check;
    }
    TimestampTz now = GetCurrentTimestamp();
    user_state has = read_user_state(objects, check.offer, user, now);
    check.uses_left = Max(check.offer.max_per_user - has.uses, 0);
    if (is_capped(check.offer))
        check.units_left = count_units_left(objects, check.offer, now);
    check.status = judge_coupon(check.offer, now);
    if (has.has_live_hold || (check.status == status::redeemed && has.has_hold))
        check.status = status::redeemed;
    else if (check.status == status::redeemed && check.uses_left == 0)
        check.status = status::already_redeemed;
    else if (check.status == status::redeemed && is_capped(check.offer) && check.units_left == 0)
        check.status = status::sold_out;
    return check;
}

} // namespace coupon_guard
