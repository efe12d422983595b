// How one redemption flows:
//
//   1. Lock the ledger as any INSERT does, then read the coupon in its newest committed state.
//      Whoever must wait for the redemptions in flight (delete of the coupon, first cap) takes a
//      stronger lock on the ledger: once it has it, none is still acting on the coupon's old row.
//   2. Request id given and used before: answer with what was done then.
//   3. Judge the coupon, then its campaign: active, within its window. A live hold of the user
//      outlasts that.
//   4. Look at what the user has redeemed of it, transactions in progress included. A hold is
//      confirmed. At the limit: answer, nothing written. Undecided: wait for the rival, start over.
//      Of the campaign likewise.
//   5. Where there are caps and budgets: claim of all of them (claims.cpp), the campaign's first.
//      Too little left: answer. Undecided: wait, start over.
//   6. Insert, with the unique indexes as the only arbiters. Refused: a rival was faster; keep the
//      unit for the next round, start over.
//
// Waiting is always for a transaction to end, with nothing held meanwhile but table locks and what
// the transaction has written before: a deadlock needs callers that redeem several coupons in one
// transaction, in an order of their own, or one for many users, and the server's detector ends it
// (40P01).
//
// Every round begins with the newest state of coupon and campaign and the clock, for after a wait
// both may have changed. A round that does not end has seen a rival win, or waited for one: so the
// loop ends when rivals do. One that goes round with no rival in sight is a fault, and becomes an
// error.
//
// What runs inside a command that is itself changing coupons or ledger rows (a data-modifying CTE,
// a shop's row trigger) sees what that command has done so far.

#include "redeem/redeem.hpp"

#include "coupon/own_changes.hpp"
#include "ledger/uses.hpp"
#include "quota/claims.hpp"
#include "quota/limit.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_setup.hpp"
#include "quota/shares.hpp"
#include "redeem/refusal.hpp"
#include "redeem/round.hpp"

namespace coupon_guard {
namespace {

TimestampTz deadline_after(TimestampTz moment, const Interval *duration) {
    TimestampTz deadline = DatumGetTimestampTz(DirectFunctionCall2(
        timestamptz_pl_interval, TimestampTzGetDatum(moment), IntervalPGetDatum(duration)));
    if (TIMESTAMP_NOT_FINITE(deadline))
        report_endless_hold();
    return deadline;
}

// The request id under which the redemption is found again, made in id; null if there is none.
// With several codes in one call each coupon gets an id of its own; it has a control character, so
// no single call can give it.
const request_id *full_request_id(const redeem_request &request, int64 coupon_id, request_id &id) {
    if (!request.has_request)
        return nullptr;
    if (request.part == 0)
        return &request.request;
    char suffix[max_request_suffix_bytes + 1];
    int length = request.part == 1 ? snprintf(suffix, sizeof suffix, "\x1f" INT64_FORMAT, coupon_id)
                                   : snprintf(suffix, sizeof suffix, "\x1f" INT64_FORMAT "\x1f%d",
                                              coupon_id, request.part);
    id = request.request;
    memcpy(id.bytes + id.length(), suffix, length);
    id.set_length(id.length() + length);
    return &id;
}

bool wants_hold(const redeem_round &at) {
    return at.request.hold_for != nullptr;
}

uses_of_user read_uses(const redeem_round &at) {
    return read_uses(at.guard, at.answer.coupon, at.request.user, at.id, at.now);
}

// The user has a hold, live or expired, that is the request's to use. Either way it has its unit,
// unless a rival takes it over just now, and then its row has changed.
outcome use_hold(const redeem_round &at, redemption hold) {
    if (!wants_hold(at))
        return confirm(at, hold);
    bool is_live = hold.hold_expires_at > at.now;
    bool is_adopted = at.id != nullptr && !hold.has_request;
    TimestampTz deadline =
        is_live ? hold.hold_expires_at : deadline_after(at.now, at.request.hold_for);
    if ((!is_live || is_adopted) && !is_yes(keep_hold_row(at.guard, hold, deadline, at.id)))
        return look_again();
    hold.hold_expires_at = deadline;
    if (is_live)
        say_replayed(at.answer);
    return end_with(at.answer, coupon_status::held, hold);
}

// Another request's hold has lapsed: its unit is there for this one.
outcome end_lapsed_hold(const redeem_round &at, const redemption &hold) {
    const shares all = shares_of(hold);
    for (int i = 0; i < all.count; i++) {
        quota limited;
        if (!find_quota(at.guard, all.of[i].id, limited))
            continue;
        outcome ready = prepare_quota(at.guard, all.of[i].id);
        if (!is_yes(ready))
            return ready;
    }
    const shares had = set_up_among(at.guard, all);
    if (is_yes(void_expired_hold(at.guard, hold, at.now, LockWaitBlock)))
        for (int i = 0; i < had.count; i++)
            keep_units_ahead(at.guard, had.of[i].id, had.of[i].units);
    return look_again();
}

// Whether coupon and campaign can be redeemed now: redeemed, or whose answer it is that not.
coupon_status judge(const redeem_round &at) {
    const coupon_row &coupon = at.answer.coupon;
    coupon_status judged = judge_coupon(coupon, at.request.user.datum(), at.now);
    if (judged != coupon_status::redeemed) {
        at.answer.limited_by = limit_owner::coupon;
        at.answer.bound =
            judged == coupon_status::not_started ? coupon.starts_at : coupon.expires_at;
        return judged;
    }
    if (at.campaign == nullptr)
        return judged;
    judged = judge_window(*at.campaign, at.now);
    if (judged != coupon_status::redeemed)
        at.answer.limited_by = limit_owner::campaign;
    at.answer.bound =
        judged == coupon_status::not_started ? at.campaign->starts_at : at.campaign->expires_at;
    return judged;
}

// Where reasons are hidden, that a coupon cannot be redeemed.
bool is_as_if_none(const redeem_round &at) {
    if (!at.request.hides_reasons || judge(at) == coupon_status::redeemed)
        return false;
    at.answer.limited_by = limit_owner::none;
    return true;
}

// The request id has been used by this user before.
outcome replay(const redeem_round &at, const redemption &made) {
    redeem_answer &answer = at.answer;
    if (answer.has_coupon && answer.coupon.id != made.coupon_id) {
        if (!is_as_if_none(at))
            report_reused_request(at.request.request);
        answer.has_coupon = false;
    }
    if (!answer.has_coupon)
        answer.has_coupon = find_coupon_and_terms(at.guard, made.coupon_id, answer.coupon);
    bool is_over = is_hold(made) && !made.is_voided && made.hold_expires_at <= at.now;
    if (is_hold(made) && !made.is_voided && !is_over && !wants_hold(at))
        return confirm(at, made);
    say_replayed(answer);
    if (is_over || made.has_lapsed)
        return end_with(answer, coupon_status::expired);
    if (made.is_voided)
        return end_with(answer, coupon_status::voided, made);
    return end_with(answer, is_hold(made) ? coupon_status::held : coupon_status::redeemed, made);
}

// The coupon cannot be redeemed now; a hold that was placed while it could is honoured.
outcome refuse(const redeem_round &at, coupon_status reason) {
    if (!wants_hold(at)) {
        uses_of_user seen = read_uses(at);
        if (seen.has_hold && seen.latest.hold_expires_at > at.now)
            return confirm(at, seen.latest);
    }
    return end_with(at.answer, reason);
}

bool is_free(const uses_of_user &seen) {
    return !seen.has_hold && !seen.has_lapsed_hold && is_yes(seen.is_allowed);
}

// What the user has used of the campaign. One without a limit counts nothing, but numbers the uses.
uses_of_user read_campaign_uses(const redeem_round &at) {
    return read_uses(at.guard, *at.campaign, at.request.user, at.now);
}

bool may_still_redeem(const redeem_round &at) {
    return is_free(read_uses(at)) && (at.campaign == nullptr || is_free(read_campaign_uses(at)));
}

void check_owner_is_there(const redeem_round &at, limit_owner owner, int64 id) {
    limited_row found;
    if (!find_limited_row(at.guard, owner, id, found))
        report_lost_owner(owner, id);
}

// Triggers of the shop have run meanwhile.
void settle_new_row(const redeem_round &at, const redemption &made, CommandId before) {
    const shares has = shares_of(made);
    for (int i = 0; i < has.count; i++)
        settle_new_use(at.guard, has.of[i].id, before);
}

// They have changed coupons or campaigns: the lock on the ledger, which keeps such changes from a
// redemption in flight, does not keep out the transaction that has it.
void settle_own_changes(const redeem_round &at, const redemption &made) {
    CommandCounterIncrement();
    check_owner_is_there(at, limit_owner::coupon, made.coupon_id);
    if (made.has_campaign)
        check_owner_is_there(at, limit_owner::campaign, made.campaign_id);
    settle_new_row(at, made, at.begun);
}

outcome take_claims_for(const redeem_round &at, const claim *claims, int count, int &refused) {
    if (is_known_refusal(claims, count, at.now, refused))
        return decided(false);
    outcome end = take_claims(at.guard, claims, count, at.now, at.contended, refused);
    // The user's other call may have had the last unit meanwhile.
    if (is_no(end) && !may_still_redeem(at))
        return look_again();
    return end;
}

// The amount is refused, and nothing is left; but a rival may bring something.
outcome refuse_with_nothing_left(const redeem_round &at, const quota &budget) {
    const claim any = {budget, 1};
    if (is_certain_refusal(at.guard, any, at.now))
        return end_with(at.answer, coupon_status::sold_out);
    if (!at.request.up_to && catalog_of(at.guard).follows_changes)
        return end_with(at.answer, coupon_status::insufficient);
    int refused; // where it is counted, that is certain only so
    outcome end = take_claims(at.guard, &any, 1, at.now, at.contended, refused);
    if (is_no(end))
        return end_with(at.answer, coupon_status::sold_out);
    if (is_yes(end))
        keep_unused_claims(at.guard, &any, 1);
    return is_yes(end) ? look_again() : end;
}

// A claim is refused: what the quota has left says how. With up_to what is left is claimed next.
outcome refuse_claim(const redeem_round &at, claim &refused, bool &is_reduced) {
    at.answer.limit = refused.from.id.kind;
    at.answer.limited_by = owner_of(refused.from.id.kind);
    at.answer.is_by_shard = refused.from.is_part;
    at.answer.bound = refused.from.granted;
    if (!is_budget(refused.from.id.kind))
        return end_with(at.answer, coupon_status::sold_out);
    int64 left = count_left(at.guard, refused.from, at.now);
    if (left >= refused.amount)
        return look_again(); // by now there is enough
    at.answer.left = left;
    if (left == 0)
        return refuse_with_nothing_left(at, refused.from);
    is_reduced = at.request.up_to;
    if (is_reduced)
        refused.amount = left;
    return is_reduced ? look_again() : end_with(at.answer, coupon_status::insufficient);
}

// The amount that is claimed of budgets is one.
void set_amount(claim *claims, int count, int64 amount) {
    for (int i = 0; i < count; i++)
        if (is_budget(claims[i].from.id.kind))
            claims[i].amount = amount;
}

outcome redeem_new(const redeem_round &at, int32 use_no, int32 campaign_use_no) {
    const coupon_row &coupon = at.answer.coupon;
    int64 amount = at.request.amount;
    claim claims[most_claims];
    int count = claims_of(coupon, at.campaign, amount, claims);
    for (int i = 0; i < count; i++)
        claims[i].next = claims[i].amount * at.request.following;
    while (count > 0) {
        int refused;
        bool is_reduced = false;
        outcome end = take_claims_for(at, claims, count, refused);
        if (is_yes(end))
            break;
        if (is_no(end))
            end = refuse_claim(at, claims[refused], is_reduced);
        if (!is_reduced)
            return end;
        amount = claims[refused].amount;
        set_amount(claims, count, amount);
    }
    const new_redemption wanted = {
        coupon.id,
        &at.request.user,
        use_no,
        amount,
        at.campaign != nullptr,
        coupon.campaign_id,
        campaign_use_no,
        at.now,
        wants_hold(at) ? deadline_after(at.now, at.request.hold_for) : no_deadline,
        at.id,
        at.request.metadata,
        at.request.has_metadata,
    };
    redemption made;
    CommandId before = GetCurrentCommandId(false);
    if (append_redemption(at.guard, wanted, made)) {
        bool may_be_limited = count > 0 || has_changed_coupons();
        if (has_changed_coupons_since(at.begun))
            settle_own_changes(at, made);
        else if (may_be_limited && !catalog_of(at.guard).ledger_plan.inserts_plainly)
            settle_new_row(at, made, before);
        return end_with(at.answer, wants_hold(at) ? coupon_status::held : coupon_status::redeemed,
                        made);
    }
    keep_unused_claims(at.guard, claims, count);
    return look_again();
}

outcome redeem_judged(const redeem_round &at) {
    uses_of_user seen = read_uses(at);
    if (seen.has_hold)
        return use_hold(at, seen.latest);
    if (seen.has_lapsed_hold)
        return end_lapsed_hold(at, seen.latest);
    if (is_undecided(seen.is_allowed))
        return seen.is_allowed;
    if (!is_yes(seen.is_allowed)) {
        at.answer.limited_by = limit_owner::coupon;
        at.answer.bound = at.answer.coupon.max_per_user;
        return end_with(at.answer, coupon_status::already_redeemed, seen.latest);
    }
    if (at.campaign == nullptr)
        return redeem_new(at, seen.free_use_no, 0);
    uses_of_user in_campaign = read_campaign_uses(at);
    if (is_undecided(in_campaign.is_allowed))
        return in_campaign.is_allowed;
    if (in_campaign.has_lapsed_hold)
        return end_lapsed_hold(at, in_campaign.latest);
    if (!is_yes(in_campaign.is_allowed)) {
        at.answer.limited_by = limit_owner::campaign;
        at.answer.bound = at.campaign->max_per_user;
        return end_with(at.answer, coupon_status::already_redeemed, in_campaign.latest);
    }
    return redeem_new(at, seen.free_use_no, in_campaign.free_use_no);
}

outcome play_round(const installation &guard, const redeem_request &request, bool contended,
                   redeem_answer &answer) {
    memset(&answer, 0, sizeof answer);
    const CommandId begun = GetCurrentCommandId(false);
    answer.has_coupon = find_coupon(guard, request.key, answer.coupon);
    campaign_row campaign;
    const bool has_campaign = answer.has_coupon && answer.coupon.has_campaign;
    if (has_campaign)
        find_campaign_of(guard, answer.coupon, campaign);
    request_id full_id;
    const bool is_named = request.part == 0 || answer.has_coupon;
    const redeem_round at = {
        guard,
        request,
        is_named ? full_request_id(request, answer.coupon.id, full_id) : nullptr,
        answer,
        GetCurrentTimestamp(),
        contended,
        has_campaign ? &campaign : nullptr,
        begun,
    };
    if (at.id != nullptr) {
        redemption made;
        outcome found = find_request(guard, request.user, *at.id, made);
        if (is_undecided(found))
            return found;
        if (is_yes(found))
            return replay(at, made);
    }
    if (!answer.has_coupon)
        return end_with(answer, coupon_status::not_found);
    coupon_status judged = judge(at);
    return judged == coupon_status::redeemed ? redeem_judged(at) : refuse(at, judged);
}

} // namespace

installation open_guard_to_write(Oid function, const char *function_name) {
    PreventCommandIfReadOnly(function_name);
    PreventCommandIfParallelMode(function_name);
    CommandCounterIncrement();
    return open_guard(function, RowExclusiveLock);
}

redeem_answer redeem(const installation &guard, const redeem_request &request) {
    redeem_answer answer;
    if (request.is_throttled) {
        memset(&answer, 0, sizeof answer);
        answer.status = coupon_status::throttled;
        answer.retry_at = request.retry_at;
        return answer;
    }
    bool contended = false;
    until_decided([&] {
        outcome end = play_round(guard, request, contended, answer);
        contended = true;
        return end;
    });
    return answer;
}

} // namespace coupon_guard
