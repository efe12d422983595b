// A redemption claims amounts of quotas, one or several, and gets all of them or none. How units of
// one quota are taken, and why "too few" is certain: take_stripes.cpp.
//
// Rows of a quota
//
// Stripe 0 is the anchor. It exists as long as the quota is set up, even with no unit left; the
// other stripes are deleted with their last unit. So a sold-out coupon is one row in the index.
//
// A quota without anchor is not set up: nothing was taken from it yet, or it was ended. Whoever
// needs it first counts what the ledger says is in use and writes it (quota_setup.cpp). So a
// single-use code costs nothing before it is used, and a restored dump, which has no quota, has a
// right one when it is needed. A coupon of several units gets its quota when it is created, so that
// the first buyers do not queue for the one who writes it.
//
// What keeps it right while plain SQL or replication writes to the tables are triggers. A quota
// carries the generation under which it was set up: the state of these triggers. If they were off
// for a while the generation is another one, and the quota is void: it counts as not set up, and
// its rows go when it is set up anew. While they are off, the use is counted for each redemption,
// under the lock of the owner's row, and what keeps those away who still take from quotas is a
// SHARE lock on the table.
//
// All or none
//
// Before the first is taken, each later claim is looked at: where one is refused for certain,
// nothing is written. One that is refused later all the same (a rival was faster) leaves those
// before it in units taken ahead, which go back when the transaction commits: what others may have
// of them until then is undecided, so nobody hears "too few" for their sake.
//
// Why single redemptions cannot wait in a circle
//
// The claims of all redemptions are in one order: the kinds of quotas as quota_kind has them, the
// quotas of a kind by their owners. A redemption that waits for units of a quota has of that quota
// none (take_stripes.cpp), and of others only of those before it. So whoever it waits for has got
// past this quota, and waits, if at all, for a later one: no circle. Rows of the ledger are written
// when all claims have been taken; who waits for such a row may have units, but the row's writer
// waits for nothing any more.
//
// Quotas are prepared before the first claim is taken, with nothing held of any; what that may lock
// are owners' rows, later ones too. Whoever sets up a quota waits for rows of the ledger in
// progress, whose writers wait for nothing. Only where a quota is ended just then can a redemption
// that has prepared a later one wait for an earlier one: the server's detector ends it (40P01).
//
// What a transaction has taken stays locked to its end: two that each redeem one coupon many times,
// or several coupons, can wait for each other (40P01, documented).
//
// A refusal is remembered (sold_out.cpp).

#include "quota/claims.hpp"

#include "catalog/invalidation.hpp"
#include "quota/limit.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"
#include "quota/sold_out.hpp"
#include "quota/take_stripes.hpp"

namespace coupon_guard {
namespace {

// A campaign's before a coupon's, a cap before a budget.
int order_of(quota_kind kind) {
    return (owner_of(kind) == limit_owner::coupon ? 2 : 0) + (is_budget(kind) ? 1 : 0);
}

// Whether a quota is claimed before another.
[[maybe_unused]] bool is_before(const quota_id &one, const quota_id &other) {
    return one.kind != other.kind ? order_of(one.kind) < order_of(other.kind)
                                  : one.owner_id < other.owner_id;
}

// Where quotas are not in use: what is in use is counted. The owner's row, once locked, keeps
// rivals away until this transaction ends; if it has to be waited for, that is all for this time.
taking take_by_counting(const installation &guard, const request_for_units &asked,
                        bool &is_beyond) {
    const quota_id &id = asked.from.id;
    if (!lock_owner(guard, id, LockTupleNoKeyExclusive, false)) {
        lock_owner(guard, id, LockTupleNoKeyExclusive, true);
        return without_units(look_again());
    }
    quota newest;
    if (!find_quota(guard, id, newest))
        return without_units(look_again());
    outcome in_progress = find_use_in_progress(guard, id);
    if (is_undecided(in_progress))
        return without_units(in_progress);
    int64 used = count_committed_use(guard, id);
    is_beyond = used > newest.granted;
    bool has_enough = !is_beyond && newest.granted - used >= asked.least;
    return has_enough ? taken(asked.least) : without_units(decided(false));
}

// Ends a hold whose deadline has passed, for its units; if they are not enough, that is all for
// this time (only where they are counted: else one unit is asked for).
taking take_from_expired_hold(const installation &guard, const request_for_units &asked,
                              bool is_beyond) {
    const quota_id &id = asked.from.id;
    int64 freed = 0;
    bool has_waited = false;
    outcome end = end_expired_hold(guard, id, asked.moment, true, freed, has_waited);
    if (!is_yes(end))
        return without_units(end);
    if (is_beyond || freed < asked.least) // beyond what was granted it frees no unit: counted anew
        return without_units(look_again());
    return {end, freed, has_waited};
}

taking take_by_counting_or_from_hold(const installation &guard, const request_for_units &asked) {
    bool is_beyond = false;
    taking result = take_by_counting(guard, asked, is_beyond);
    if (!is_no(result.end))
        return result;
    if (!is_beyond && asked.least > 1 &&
        count_remaining_units(guard, asked.from, asked.moment) < asked.least)
        return result; // no hold is ended in vain
    return take_from_expired_hold(guard, asked, is_beyond);
}

// From the quota, which is set up if it is not, else from an expired hold.
taking take_units(const installation &guard, const request_for_units &asked) {
    if (!lock_quotas(guard))
        return take_by_counting_or_from_hold(guard, asked);
    shortage reason;
    taking result = take_from_stripes(guard, asked, reason);
    if (reason == shortage::is_not_set_up)
        return set_up_quota(guard, asked.from.id) ? without_units(look_again())
                                                  : take_from_expired_hold(guard, asked, true);
    if (reason == shortage::needs_holds) {
        result = take_from_expired_hold(guard, asked, false);
        if (is_no(result.end)) // a rival was faster
            result.end = look_again();
    }
    return result;
}

// While this transaction is changing the owner's row, the quota may still be that of before: it is
// ended and counted anew, and the trigger that follows the change leaves it at that.
void catch_up_with_own_change(const installation &guard, const quota_id &id) {
    if (!is_quota_outdated(guard, id))
        return;
    end_quota(guard, id);
    set_up_quota(guard, id);
}

outcome take_claim(const installation &guard, const claim &wanted, TimestampTz moment,
                   bool contended) {
    Assert(wanted.amount > 0);
    const quota_id &id = wanted.from.id;
    catch_up_with_own_change(guard, id);
    if (use_units_ahead(guard, id, wanted.amount))
        return decided(true);
    uint64 returns = unit_returns();
    int64 missing = wanted.amount - units_to_spare(guard, id);
    taking result =
        take_units(guard, {wanted.from, missing, units_to_take(guard, id, missing, wanted.next),
                           moment, contended});
    if (is_no(result.end) && may_remember_sold_out(guard))
        remember_too_few(id, wanted.amount, first_hold_deadline(guard, id), returns);
    if (!is_yes(result.end))
        return result.end;
    // After a wait the coupon must be judged anew: then the units are at hand. What is counted is
    // never ahead of the count.
    if (catalog_of(guard).follows_changes)
        remember_units_taken(guard, id, result.amount, result.has_waited ? 0 : wanted.amount);
    CommandCounterIncrement(); // a trigger may redeem the same coupon before we have finished
    return result.has_waited ? look_again() : result.end;
}

// Whether units seem to be there, so that there is no need to look for a refusal, nor for a hold.
bool is_likely_granted(const installation &guard, const claim &wanted) {
    const quota_id &id = wanted.from.id;
    CommandId command;
    return !is_change_pending(id, command) && lock_quotas(guard) &&
           has_units_at_hand(guard, id, wanted.amount);
}

} // namespace

bool is_known_refusal(const claim *claims, int count, TimestampTz moment, int &refused) {
    for (refused = 0; refused < count; refused++)
        if (is_known_too_few(claims[refused].from.id, claims[refused].amount, moment))
            return true;
    return false;
}

bool is_certain_refusal(const installation &guard, const claim &wanted, TimestampTz moment) {
    const quota_id &id = wanted.from.id;
    catch_up_with_own_change(guard, id);
    int64 missing = wanted.amount - units_to_spare(guard, id);
    return missing > 0 && lock_quotas(guard) &&
           has_too_few(guard, {wanted.from, missing, missing, moment, false});
}

outcome take_claims(const installation &guard, const claim *claims, int count, TimestampTz moment,
                    bool contended, int &refused) {
    Assert(count > 0 && count <= most_claims);
    bool is_at_hand[most_claims] = {};
    for (int i = 0; count > 1 && i < count; i++)
        is_at_hand[i] = is_likely_granted(guard, claims[i]);
    for (refused = 1; refused < count; refused++) {
        Assert(is_before(claims[refused - 1].from.id, claims[refused].from.id));
        if (is_at_hand[refused] || !is_certain_refusal(guard, claims[refused], moment))
            continue;
        // Where both a campaign and its coupon refuse, the campaign is named.
        if (!is_at_hand[0] &&
            owner_of(claims[0].from.id.kind) != owner_of(claims[refused].from.id.kind) &&
            is_certain_refusal(guard, claims[0], moment))
            refused = 0;
        return decided(false);
    }
    // A hold that is ended for the units that it has of one may have units of the others.
    for (int i = 0; count > 1 && i < count; i++) {
        if (is_at_hand[i])
            continue;
        outcome ready = prepare_quota(guard, claims[i].from.id);
        if (!is_yes(ready))
            return ready;
    }
    for (refused = 0; refused < count; refused++) {
        outcome end = take_claim(guard, claims[refused], moment, contended);
        if (is_yes(end))
            continue;
        keep_unused_claims(guard, claims, refused);
        return end;
    }
    return decided(true);
}

bool wait_for_claim(const installation &guard, const claim &wanted) {
    bool contended = false;
    return until_decided([&] {
        outcome end = take_claim(guard, wanted, GetCurrentTimestamp(), contended);
        contended = true;
        return end;
    });
}

int64 wait_for_units(const installation &guard, const quota &from, int64 most) {
    int64 amount = 0;
    bool contended = false;
    bool has = until_decided([&] {
        taking result = take_units(guard, {from, 1, most, GetCurrentTimestamp(), contended});
        CommandCounterIncrement();
        contended = true;
        amount = result.amount;
        return result.end;
    });
    return has ? amount : 0;
}

// All that is at hand is asked for first, for it may be in many stripes: that of expired holds too,
// then without them, for a rival may have one; whoever is too late for that takes what one stripe
// has. So nobody is waited for as long as there is anything.
int64 wait_for_units_ahead(const installation &guard, const quota &from, int64 most) {
    catch_up_with_own_change(guard, from.id);
    const int64 spare = units_to_spare(guard, from.id);
    if (spare >= most)
        return spare;
    int64 amount = 0;
    int attempts = 0;
    constexpr int most_with_holds = 2; // the first may have to set up the quota
    constexpr int most_for_all = 3;
    bool has = until_decided([&] {
        const TimestampTz now = GetCurrentTimestamp();
        int64 at_hand = 0;
        if (attempts < most_for_all && lock_quotas(guard))
            at_hand = count_units_at_hand(guard, from.id);
        if (attempts < most_with_holds)
            at_hand += count_expired_use(guard, from.id, now);
        amount = 0;
        if (spare > 0 && at_hand == 0)
            return decided(true);
        const int64 least = Max(Min(at_hand, most - spare), 1);
        taking result = take_units(guard, {from, least, most - spare, now, false});
        CommandCounterIncrement();
        attempts++;
        amount = result.amount;
        return !is_yes(result.end) && (least > 1 || spare > 0) ? look_again() : result.end;
    });
    if (!has)
        return 0;
    if (amount > 0)
        remember_units_taken(guard, from.id, amount, 0);
    return spare + amount;
}

void keep_unused_claims(const installation &guard, const claim *claims, int count) {
    if (!catalog_of(guard).follows_changes)
        return; // they were counted, and are counted anew
    for (int i = 0; i < count; i++)
        keep_units_ahead(guard, claims[i].from.id, claims[i].amount);
}

int64 count_left(const installation &guard, const quota &from, TimestampTz moment) {
    if (!lock_quotas(guard))
        return count_remaining_units(guard, from, moment);
    return count_stripe_units(guard, from.id) + units_to_spare(guard, from.id) +
           count_expired_use(guard, from.id, moment);
}

int64 count_remaining_units(const installation &guard, const quota &from, TimestampTz moment) {
    int64 remaining;
    CommandId command;
    bool is_outdated = is_change_pending(from.id, command);
    if (!is_outdated && read_quota(guard, from.id, remaining))
        remaining += units_to_spare(guard, from.id);
    else
        remaining = from.granted - count_committed_use(guard, from.id);
    return Max(remaining + count_expired_use(guard, from.id, moment), 0);
}

} // namespace coupon_guard
