// The quota of a coupon is one row per stripe in coupon_quota, units left in each. A redemption
// takes a unit from a stripe that nobody else has changed and not yet committed, so rivals do not
// meet; a stripe is tried without waiting, beginning with one of the backend's own.
//
// Stripe 0 is the anchor. It exists as long as the quota is set up, even with no unit left; the
// other stripes are deleted with their last unit. So a sold-out coupon is one row in the index.
//
// A quota has few stripes at first (unless the coupon says how many). A buyer who has met rivals
// on them and then takes from a stripe that is not the backend's own divides it, and the other half
// becomes the backend's own: so there are soon as many as buyers who meet, and no more.
//
// A quota without anchor is not set up: nothing was taken from it yet, or it was ended. Whoever
// needs it first counts the coupon's live rows in the ledger and writes it (quota_setup.cpp). So a
// single-use code costs nothing before it is used, and a restored dump, which has no quota, has a
// right one when it is needed. A coupon of several units gets its quota when it is created, so that
// the first buyers do not queue for the one who writes it.
//
// What keeps it right while plain SQL or replication writes to the tables are triggers. A quota
// carries the generation under which it was set up: the state of these triggers. If they were off
// for a while the generation is another one, and the quota is void: it counts as not set up, and
// its rows go when it is set up anew. While they are off, the live rows are counted for each
// redemption, under the lock of the coupon's row, and what keeps those away who still take from
// quotas is a SHARE lock on the table.
//
// Why no unit is lost or made: every change of `remaining` is an update of the very version that
// was read (heap_update() refuses any other), in the transaction that writes or voids the
// redemption, so both are committed together or not at all.
//
// Why sold_out is never said too early: only if
//   - a look at all versions, committed or not, finds no unit, and no row that a transaction in
//     progress is changing or has inserted (else it is waited for: it may roll back, or bring
//     units);
//   - and nothing was missed, though the look judges each row by itself and not all at one moment:
//     it met one index entry only, the anchor's, and so did a second look, the anchor's row being
//     the same version. So when the second look read the index there was no other stripe, and the
//     anchor had no unit. Where there are more entries (a row that moves has two), a look by an
//     MVCC snapshot must find no unit either.
//
// What was found sold out is remembered (sold_out.cpp).
//
// Deadlock: a redemption that waits here holds no stripe of this coupon with a unit in it, for it
// would have used it. But what a transaction has taken stays locked to its end: two that each
// redeem one coupon many times, or several coupons, can wait for each other (40P01, documented).

#include "quota/quota.hpp"

#include "catalog/news.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/ledger.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_stripes.hpp"
#include "quota/sold_out.hpp"

namespace coupon_guard {

int quota_stripes = 64;

namespace {

// Stripes beyond this number take units that come back while all others are locked.
constexpr int32 first_extra_stripe = 1 << 20;

// What came of taking units.
struct taking {
    outcome end;
    int64 amount;    // how many, if any
    bool has_waited; // for a lock that others had
    bool is_beyond;  // more are in use than the cap allows
};

taking taken(int64 amount) {
    Assert(amount > 0);
    return {decided(true), amount, false, false};
}

taking without_units(const outcome &end) {
    return {end, 0, false, false};
}

taking beyond_cap() {
    return {decided(false), 0, false, true};
}

// What a transaction wants of the stripes.
struct want {
    int64 coupon_id;
    int64 amount;
    int32 home;      // the stripe that is the backend's own
    bool may_divide; // the home stripe is not there, and others are in demand
};

// What a scan over the stripes found.
struct stripe_scan {
    int64 amount; // taken; 0: none
    bool has_home;
    bool has_anchor;
    bool has_rival;
    struct rival rival;
    bool has_busy; // a stripe with units that somebody has locked, or changed just now
    stripe_row busy;
    bool has_other; // index entries other than the anchor's
    ItemPointerData anchor_at;
    bool is_certain; // there is no unit, and nobody who may bring one
};

bool is_bare_anchor(const stripe_scan &seen) {
    return seen.has_anchor && !seen.has_other && seen.amount == 0 && !seen.has_rival &&
           !seen.has_busy;
}

// The stripe that the backend last took from, and the place of its version then: only where to look
// first, without the index.
struct last_stripe {
    int64 coupon_id;
    Oid table;
    ItemPointerData tid;
};
constexpr uint64 last_stripe_count = 64; // a power of two
last_stripe last_stripes[last_stripe_count];

last_stripe &last_stripe_of(int64 coupon_id) {
    return last_stripes[static_cast<uint64>(coupon_id) & (last_stripe_count - 1)];
}

// Takes from the version of a stripe that was read; how many units, 0 if it has changed since or
// (unless told to wait) another transaction has it.
int64 take_from_stripe(const installation &guard, Relation quota, const want &wanted,
                       stripe_row &found, bool wait) {
    int64 amount = Min(wanted.amount, found.remaining);
    bool divides = wanted.may_divide && found.stripe != wanted.home;
    int64 share = divides ? (found.remaining - amount) / 2 : 0;
    if (!change_stripe(guard, quota, wanted.coupon_id, found, found.remaining - amount - share,
                       wait))
        return 0;
    if (share > 0) // next time the home stripe
        ItemPointerSetInvalid(&found.tid);
    last_stripe_of(wanted.coupon_id) = {wanted.coupon_id, RelationGetRelid(quota), found.tid};
    // A rival may have made the home stripe meanwhile: then the share is taken ahead.
    if (share > 0 && insert_stripe(guard, wanted.coupon_id, wanted.home, share))
        share = 0;
    return amount + share;
}

// Tries the stripes that the scan finds, in their order, until one gives units.
void try_stripes(const installation &guard, index_scan &scan, const SnapshotData &dirty,
                 want wanted, stripe_scan &seen) {
    while (seen.amount == 0 && next_row(scan)) {
        stripe_row found = read_stripe(guard, scan);
        seen.has_home |= found.stripe == wanted.home;
        bool is_void = !is_current(guard, found);
        if (found.stripe == anchor && !is_void) {
            seen.has_anchor = true;
            seen.anchor_at = found.tid;
        }
        rival other;
        if (find_rival(scan, dirty, other)) {
            if (!seen.has_rival) // not all wait for the same one
                seen.rival = other;
            seen.has_rival = true;
        } else if (found.remaining > 0 && !is_void) {
            seen.busy = found; // as it was read
            seen.amount = take_from_stripe(guard, scan.table, wanted, found, false);
            seen.has_busy |= seen.amount == 0;
        }
    }
    seen.has_other = scan.entries_seen > 1;
}

stripe_scan scan_stripes(const installation &guard, const want &wanted, ScanKeyData *keys,
                         int key_count) {
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys, key_count);
    stripe_scan seen = {};
    try_stripes(guard, scan, dirty, wanted, seen);
    bool sees_all = key_count == 1;
    if (sees_all && is_bare_anchor(seen)) {
        ItemPointerData anchor_at = seen.anchor_at;
        restart_scan(scan, keys, key_count);
        seen = {};
        try_stripes(guard, scan, dirty, wanted, seen);
        seen.is_certain = is_bare_anchor(seen) && ItemPointerEquals(&anchor_at, &seen.anchor_at);
    }
    end_scan(scan);
    return seen;
}

int32 most_stripes(const coupon_row &coupon) {
    return coupon.stripes > 0 ? coupon.stripes : quota_stripes;
}

want want_of(const coupon_row &coupon, int64 amount) {
    int64 count = Max(Min(coupon.max_redemptions, int64{most_stripes(coupon)}), 1);
    return {coupon.id, amount, static_cast<int32>(backend_number() % count), false};
}

// Takes from the stripe at this place, if it is still there. 0: it is not, or is not to be had.
int64 take_from_stripe_at(const installation &guard, const want &wanted, ItemPointerData tid,
                          bool wait) {
    Relation quota = table_open(catalog_of(guard).quota_table, NoLock);
    TupleTableSlot *row = table_slot_create(quota, nullptr);
    stripe_row found;
    int64 amount = 0;
    if (read_stripe_at(guard, quota, tid, wanted.coupon_id, row, found) && found.remaining > 0 &&
        is_current(guard, found))
        amount = take_from_stripe(guard, quota, wanted, found, wait);
    ExecDropSingleTupleTableSlot(row);
    table_close(quota, NoLock);
    return amount;
}

int64 take_from_last_stripe(const installation &guard, const want &wanted) {
    const last_stripe last = last_stripe_of(wanted.coupon_id);
    bool is_known =
        last.coupon_id == wanted.coupon_id && last.table == catalog_of(guard).quota_table;
    return is_known ? take_from_stripe_at(guard, wanted, last.tid, false) : 0;
}

// The stripe that served last, the backend's own, then all.
stripe_scan scan_from_home(const installation &guard, want &wanted, bool contended) {
    stripe_scan seen = {};
    seen.amount = take_from_last_stripe(guard, wanted);
    if (seen.amount > 0)
        return seen;
    ScanKeyData keys[] = {equals_bigint(1, wanted.coupon_id), equals_integer(2, wanted.home)};
    seen = scan_stripes(guard, wanted, keys, 2);
    if (seen.amount > 0)
        return seen;
    wanted.may_divide = contended && !seen.has_home;
    return scan_stripes(guard, wanted, keys, 1);
}

// Waits for the one stripe at hand: only such are left that somebody has locked.
taking take_busy_stripe(const installation &guard, const want &wanted, const stripe_row &busy) {
    int64 amount = take_from_stripe_at(guard, wanted, busy.tid, true);
    return amount > 0 ? taking{decided(true), amount, true, false} : without_units(look_again());
}

// Takes up to amount units from one stripe.
taking take_from_stripes(const installation &guard, const coupon_row &coupon, int64 amount,
                         bool contended) {
    want wanted = want_of(coupon, amount);
    stripe_scan seen = scan_from_home(guard, wanted, contended);
    if (seen.amount > 0)
        return taken(seen.amount);
    if (seen.has_rival)
        return without_units(hangs_on(seen.rival));
    if (seen.has_busy)
        return take_busy_stripe(guard, wanted, seen.busy);
    int64 remaining = 0;
    if (seen.is_certain || read_quota(guard, coupon.id, remaining))
        return without_units(remaining > 0 ? look_again() : decided(false));
    return set_up_quota(guard, coupon.id) ? without_units(look_again()) : beyond_cap();
}

// Where the triggers are not in force: counts, and keeps rivals away until this transaction ends.
// If the coupon's row has to be waited for, that is all for this time.
taking take_by_counting(const installation &guard, int64 coupon_id) {
    if (!lock_coupon_at_once(guard, coupon_id, LockTupleNoKeyExclusive)) {
        lock_coupon(guard, coupon_id, LockTupleNoKeyExclusive);
        return without_units(look_again());
    }
    coupon_row newest;
    if (!find_coupon(guard, coupon_id, newest) || !is_capped(newest))
        return without_units(look_again());
    outcome in_progress = find_row_in_progress(guard, coupon_id);
    if (is_undecided(in_progress))
        return without_units(in_progress);
    int64 used = count_committed_rows(guard, coupon_id);
    if (used > newest.max_redemptions)
        return beyond_cap();
    return used < newest.max_redemptions ? taken(1) : without_units(decided(false));
}

// While this transaction is changing the coupon, the quota may still be that of before: it is ended
// and counted anew, and the trigger that follows the change leaves it at that.
void catch_up_with_own_change(const installation &guard, int64 coupon_id) {
    CommandId command;
    if (!is_coupon_change_pending(coupon_id, command) || !lock_quotas(guard) ||
        is_quota_newer_than(guard, coupon_id, command))
        return;
    end_quota(guard, coupon_id);
    set_up_quota(guard, coupon_id);
}

// Takes up to amount units: from a stripe, else one from an expired hold. Of a coupon that is
// beyond its cap an expired hold is ended, too, but that frees no unit: it is counted anew.
taking take_units(const installation &guard, const coupon_row &coupon, TimestampTz moment,
                  int64 amount, bool contended) {
    taking result = lock_quotas(guard) ? take_from_stripes(guard, coupon, amount, contended)
                                       : take_by_counting(guard, coupon.id);
    if (result.end.verdict != verdict::no)
        return result;
    bool has_waited = false;
    outcome end = take_over_expired_hold(guard, coupon.id, moment, has_waited);
    if (result.is_beyond)
        return without_units(is_yes(end) ? look_again() : end);
    return {end, 1, has_waited, false};
}

// Adds units to the first stripe that nobody else has. False if there is none.
bool add_to_free_stripe(const installation &guard, int64 coupon_id, int64 count) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys, lengthof(keys));
    bool added = false;
    while (!added && next_row(scan)) {
        rival other;
        if (find_rival(scan, dirty, other))
            continue;
        stripe_row found = read_stripe(guard, scan);
        added = is_current(guard, found) &&
                change_stripe(guard, scan.table, coupon_id, found, found.remaining + count, false);
    }
    end_scan(scan);
    return added;
}

} // namespace

int64 wait_for_units(const installation &guard, const coupon_row &coupon, int64 wanted) {
    int64 amount = 0;
    bool waited = false;
    bool has = until_decided([&] {
        taking result = take_units(guard, coupon, GetCurrentTimestamp(), wanted, waited);
        CommandCounterIncrement();
        waited = true;
        amount = result.amount;
        return result.end;
    });
    return has ? amount : 0;
}

outcome take_unit(const installation &guard, const coupon_row &coupon, TimestampTz moment,
                  bool contended) {
    Assert(is_capped(coupon));
    catch_up_with_own_change(guard, coupon.id);
    if (use_unit_ahead(guard, coupon.id))
        return decided(true);
    uint64 returns = unit_returns();
    taking result = take_units(guard, coupon, moment, units_to_take(guard, coupon.id), contended);
    if (result.end.verdict == verdict::no && may_remember_sold_out(guard))
        remember_sold_out(coupon.id, first_hold_deadline(guard, coupon.id), returns);
    if (!is_yes(result.end))
        return result.end;
    // After a wait the coupon must be judged anew: then the unit is at hand.
    int64 used = result.has_waited ? 0 : 1;
    remember_units_taken(guard, coupon.id, result.amount - used);
    CommandCounterIncrement(); // a trigger may redeem the same coupon before we have finished
    return result.has_waited ? look_again() : result.end;
}

bool wait_for_unit(const installation &guard, const coupon_row &coupon) {
    catch_up_with_own_change(guard, coupon.id);
    if (use_unit_ahead(guard, coupon.id))
        return true;
    int64 amount = wait_for_units(guard, coupon, units_to_take(guard, coupon.id));
    if (amount > 0)
        remember_units_taken(guard, coupon.id, amount - 1);
    return amount > 0;
}

void return_units(const installation &guard, int64 coupon_id, int64 count) {
    Assert(count > 0);
    bool added = add_to_free_stripe(guard, coupon_id, count);
    // All are locked: the units come back as a stripe of their own. One of this number may be left
    // from a transaction of the past; then the next number will do.
    TransactionId self = GetCurrentTransactionId();
    for (int32 next = 0; !added; next++)
        added = insert_stripe(guard, coupon_id,
                              first_extra_stripe + static_cast<int32>((self + next) & 0x3FFFFFFF),
                              count);
    CommandCounterIncrement();
    send_unit_return(guard);
}

int64 count_remaining_units(const installation &guard, const coupon_row &coupon,
                            TimestampTz moment) {
    int64 remaining;
    CommandId command;
    bool is_outdated = is_coupon_change_pending(coupon.id, command);
    if (!is_outdated && read_quota(guard, coupon.id, remaining))
        remaining += units_to_spare(guard, coupon.id);
    else
        remaining = coupon.max_redemptions - count_committed_rows(guard, coupon.id);
    return Max(remaining + count_expired_holds(guard, coupon.id, moment), 0);
}

} // namespace coupon_guard
