// The quota of a coupon is one row per stripe in coupon_quota, units left in each. A redemption
// takes a unit from a stripe that nobody else has changed and not yet committed, so rivals do not
// meet; a stripe is tried without waiting, beginning with one of the backend's own.
//
// Stripe 0 is the anchor. It exists as long as the quota is set up, even with no unit left; the
// other stripes are deleted with their last unit. So a sold-out coupon is one row in the index.
//
// A quota without anchor is not set up: nothing was taken from it yet. Whoever needs it first
// counts the coupon's live rows in the ledger and writes it. So a single-use code costs nothing
// before it is used, and a restored dump, which has no quota, has a right one when it is needed. A
// coupon of several units gets its quota when it is created, so that the first buyers do not queue
// for the one who writes it.
//
// Setting up excludes whoever would change the number of live rows without a quota to take from or
// return to: one locks the coupon's row for update, the others for share (is_quota_set_up()). Both
// are rare; a redemption from a quota that is set up never touches the coupon's row. A coupon's
// first quota needs no lock, for nobody else sees the coupon: it is written first and withdrawn if
// the ledger then shows rows, those of a restore under way.
//
// Why no unit is lost or made: every change of `remaining` is an update of the very version that
// was read (table_tuple_update() refuses any other), in the transaction that writes or voids the
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
// What was found sold out is kept in mind (sold_out.cpp).
//
// Deadlock: a redemption that waits here holds no stripe of this coupon, for it would have used
// it. Waiting in a circle takes transactions that redeem several coupons (40P01, documented).

#include "quota.hpp"

#include "ledger.hpp"
#include "quota_ahead.hpp"
#include "quota_stripes.hpp"
#include "sold_out.hpp"

namespace coupon_guard {

int quota_stripes = 64;

namespace {

// Stripes beyond this number take units that come back while all others are locked.
constexpr int32 first_extra_stripe = 1 << 20;

// What a look over the stripes found.
struct look {
    bool has_anchor;
    bool was_taken;
    bool has_rival;
    struct rival rival;
    bool has_busy; // a stripe with units that somebody has locked, or changed just now
    stripe_row busy;
    bool has_other; // index entries other than the anchor's
    ItemPointerData anchor_at;
    bool is_certain; // there is no unit, and nobody who may bring one
};

bool is_bare_anchor(const look &seen) {
    return seen.has_anchor && !seen.has_other && !seen.was_taken && !seen.has_rival &&
           !seen.has_busy;
}

// Tries the stripes that the scan finds, in their order, until one gives amount units or all it
// has. amount says how many it gave.
void try_stripes(const schema &objects, index_scan &scan, const SnapshotData &dirty,
                 int64 coupon_id, int64 &amount, look &seen) {
    while (!seen.was_taken && next_row(scan)) {
        stripe_row found = read_stripe(objects.quota, scan);
        if (found.stripe == anchor) {
            seen.has_anchor = true;
            seen.anchor_at = found.tid;
        }
        rival other;
        if (find_rival(scan, dirty, other)) {
            if (!seen.has_rival) // not all wait for the same one
                seen.rival = other;
            seen.has_rival = true;
        } else if (found.remaining > 0) {
            int64 taken = Min(amount, found.remaining);
            seen.was_taken = change_stripe(objects, scan.table, coupon_id, found,
                                           found.remaining - taken, false);
            if (seen.was_taken)
                amount = taken;
            else {
                seen.has_busy = true;
                seen.busy = found;
            }
        }
    }
}

look look_once(const schema &objects, index_scan &scan, const SnapshotData &dirty, int64 coupon_id,
               int64 &amount) {
    look seen = {};
    try_stripes(objects, scan, dirty, coupon_id, amount, seen);
    seen.has_other = scan.entries_seen > 1;
    return seen;
}

look look_at_stripes(const schema &objects, int64 coupon_id, ScanKeyData *keys, int key_count,
                     int64 &amount) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_quota_scan(objects, &dirty, keys, key_count, RowExclusiveLock);
    look seen = look_once(objects, scan, dirty, coupon_id, amount);
    bool sees_all = key_count == 1;
    if (sees_all && is_bare_anchor(seen)) {
        ItemPointerData anchor_at = seen.anchor_at;
        restart_scan(scan, keys, key_count);
        seen = look_once(objects, scan, dirty, coupon_id, amount);
        seen.is_certain = is_bare_anchor(seen) && ItemPointerEquals(&anchor_at, &seen.anchor_at);
    }
    end_scan(scan);
    return seen;
}

// The backend's own stripe, then all.
look look_from_home(const schema &objects, const coupon &offer, int64 &amount) {
    int32 home = static_cast<int32>(backend_number() % stripe_count(offer));
    ScanKeyData keys[] = {equals_bigint(1, offer.id), equals_integer(2, home)};
    look seen = look_at_stripes(objects, offer.id, keys, 2, amount);
    return seen.was_taken ? seen : look_at_stripes(objects, offer.id, keys, 1, amount);
}

// Waits for the one stripe at hand: only such are left that somebody has locked.
bool take_busy_stripe(const schema &objects, int64 coupon_id, const stripe_row &busy,
                      int64 &amount) {
    Relation quota = table_open(objects.quota_table, NoLock);
    amount = Min(amount, busy.remaining);
    bool taken = change_stripe(objects, quota, coupon_id, busy, busy.remaining - amount, true);
    table_close(quota, NoLock);
    return taken;
}

// Takes up to amount units from one stripe; amount says how many. Without a rival when undecided:
// things have just changed, look again.
supply take_from_stripes(const schema &objects, const coupon &offer, int64 &amount, rival &rival) {
    rival.transaction = InvalidTransactionId;
    look seen = look_from_home(objects, offer, amount);
    if (seen.was_taken)
        return supply::taken;
    if (seen.has_rival) {
        rival = seen.rival;
        return supply::undecided;
    }
    if (seen.has_busy)
        return take_busy_stripe(objects, offer.id, seen.busy, amount) ? supply::taken
                                                                      : supply::undecided;
    int64 remaining = 0;
    if (seen.is_certain || read_quota(objects, offer.id, remaining))
        return remaining > 0 ? supply::undecided : supply::sold_out;
    coupon newest; // the cap may change while the lock is waited for
    if (lock_coupon(objects, offer.id, LockTupleNoKeyExclusive) &&
        find_coupon(objects, offer.id, newest) && is_capped(newest))
        set_up_quota(objects, newest);
    return supply::undecided;
}

// Adds units to the first stripe that nobody else has. False if there is none.
bool add_to_free_stripe(const schema &objects, int64 coupon_id, int64 count) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_quota_scan(objects, &dirty, keys, lengthof(keys), RowExclusiveLock);
    bool added = false;
    while (!added && next_row(scan)) {
        rival other;
        if (find_rival(scan, dirty, other))
            continue;
        stripe_row found = read_stripe(objects.quota, scan);
        added =
            change_stripe(objects, scan.table, coupon_id, found, found.remaining + count, false);
    }
    end_scan(scan);
    return added;
}

// Takes up to amount units: from a stripe, else one from an expired hold.
supply take_units(const schema &objects, const coupon &offer, TimestampTz moment, int64 &amount,
                  rival &rival) {
    supply result = take_from_stripes(objects, offer, amount, rival);
    if (result != supply::sold_out)
        return result;
    amount = 1;
    switch (take_over_expired_hold(objects, offer.id, moment, rival)) {
    case lookup::found:
        return supply::taken;
    case lookup::missing:
        return supply::sold_out;
    case lookup::undecided:
        break;
    }
    return supply::undecided;
}

} // namespace

int64 wait_for_units(const schema &objects, const coupon &offer, int64 wanted) {
    for (;;) {
        rival other;
        int64 amount = wanted;
        supply result = take_units(objects, offer, GetCurrentTimestamp(), amount, other);
        CommandCounterIncrement();
        if (result != supply::undecided)
            return result == supply::taken ? amount : 0;
        CHECK_FOR_INTERRUPTS();
        if (TransactionIdIsValid(other.transaction))
            wait_for_rival(other);
    }
}

supply take_unit(const schema &objects, const coupon &offer, TimestampTz moment, rival &rival) {
    if (use_unit_ahead(offer.id))
        return supply::taken;
    uint64 returns = unit_returns_heard();
    int64 amount = units_to_take(offer.id);
    supply result = take_units(objects, offer, moment, amount, rival);
    if (result == supply::sold_out && may_remember_sold_out())
        remember_sold_out(offer.id, first_hold_deadline(objects, offer.id), returns);
    if (result == supply::taken) {
        remember_units_taken(objects, offer.id, amount - 1);
        CommandCounterIncrement(); // a trigger may redeem the same coupon before we have finished
    }
    return result;
}

bool wait_for_unit(const schema &objects, const coupon &offer) {
    if (use_unit_ahead(offer.id))
        return true;
    int64 taken = wait_for_units(objects, offer, units_to_take(offer.id));
    if (taken > 0)
        remember_units_taken(objects, offer.id, taken - 1);
    return taken > 0;
}

void return_units(const schema &objects, int64 coupon_id, int64 count) {
    bool added = add_to_free_stripe(objects, coupon_id, count);
    // All are locked: the units come back as a stripe of their own. One of this number may be left
    // from a transaction of the past; then the next number will do.
    TransactionId self = GetCurrentTransactionId();
    for (int32 next = 0; !added; next++)
        added = insert_stripe(objects, coupon_id,
                              first_extra_stripe + static_cast<int32>((self + next) & 0x3FFFFFFF),
                              count);
    CommandCounterIncrement();
    announce_unit_return(objects);
}

int64 count_units_left(const schema &objects, const coupon &offer, TimestampTz moment) {
    int64 remaining;
    if (!read_quota(objects, offer.id, remaining))
        remaining = offer.max_redemptions - count_rows_of(objects, offer.id);
    else
        remaining += units_to_spare(offer.id);
    return Max(remaining, 0) + count_expired_holds(objects, offer.id, moment);
}

} // namespace coupon_guard
