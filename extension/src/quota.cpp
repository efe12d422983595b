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
//   - and that look met one index entry only, the anchor's. It judges each row by itself, and could
//     miss a row that moved to another place just then; but such a row has two entries. Where there
//     were more, a look by an MVCC snapshot, which misses nothing, must find no unit either.
//
// Deadlock: a redemption that waits here holds no stripe of this coupon, for it would have used
// it. Waiting in a circle takes transactions that redeem several coupons (40P01, documented).

#include "quota.hpp"

#include "ledger.hpp"
#include "pg/plain_table.hpp"
#include "quota_ahead.hpp"

namespace coupon_guard {

int quota_stripes = 64;

namespace {

constexpr int32 anchor = 0;

// Stripes beyond this number take units that come back while all others are locked.
constexpr int32 first_extra_stripe = 1 << 20;

struct stripe_row {
    int32 stripe;
    int64 remaining;
    ItemPointerData tid;
};

stripe_row read_stripe(const quota_columns &columns, const index_scan &scan) {
    return {DatumGetInt32(column_of(scan, columns.stripe)),
            DatumGetInt64(column_of(scan, columns.remaining)), scan.row->tts_tid};
}

index_entry quota_entry(const schema &objects) {
    return {objects.quota_index, {objects.quota.coupon_id, objects.quota.stripe}, 2, true};
}

// False if the stripe exists already, committed or not.
bool insert_stripe(const schema &objects, int64 coupon_id, int32 stripe, int64 remaining) {
    Datum values[3];
    const bool nulls[3] = {};
    values[objects.quota.coupon_id - 1] = Int64GetDatum(coupon_id);
    values[objects.quota.stripe - 1] = Int32GetDatum(stripe);
    values[objects.quota.remaining - 1] = Int64GetDatum(remaining);
    const index_entry entry = quota_entry(objects);
    return insert_plain_row(objects.quota_table, values, nulls, &entry, 1);
}

// Gives the version of a stripe that was read another number of units; no unit at all deletes it,
// but for the anchor. False, or wait, if another transaction has that version.
bool change_stripe(const schema &objects, Relation quota, int64 coupon_id, const stripe_row &read,
                   int64 remaining, bool wait) {
    ItemPointerData tid = read.tid;
    TM_FailureData failure;
    CommandId command = GetCurrentCommandId(true);
    if (remaining == 0 && read.stripe != anchor)
        return table_tuple_delete(quota, &tid, command, InvalidSnapshot, InvalidSnapshot, wait,
                                  &failure, false) == TM_Ok;

    Datum values[3];
    bool nulls[3] = {};
    values[objects.quota.coupon_id - 1] = Int64GetDatum(coupon_id);
    values[objects.quota.stripe - 1] = Int32GetDatum(read.stripe);
    values[objects.quota.remaining - 1] = Int64GetDatum(remaining);
    TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(quota), &TTSOpsHeapTuple);
    ExecForceStoreHeapTuple(heap_form_tuple(RelationGetDescr(quota), values, nulls), row, true);
    LockTupleMode lock;
    index_updates updates;
    bool changed = table_tuple_update(quota, &tid, row, command, InvalidSnapshot, InvalidSnapshot,
                                      wait, &failure, &lock, &updates) == TM_Ok;
    if (changed && needs_index_entries(updates))
        insert_plain_entry(quota, &row->tts_tid, values, quota_entry(objects));
    ExecDropSingleTupleTableSlot(row);
    return changed;
}

// The units left in the newest committed state; false if the quota is not set up.
bool read_quota(const schema &objects, int64 coupon_id, int64 &remaining) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_scan(objects.quota_table, objects.quota_index, newest, keys,
                                 lengthof(keys), AccessShareLock);
    bool is_set_up = false;
    remaining = 0;
    while (next_row(scan)) {
        stripe_row found = read_stripe(objects.quota, scan);
        is_set_up |= found.stripe == anchor;
        remaining += found.remaining;
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    return is_set_up;
}

// What a look over the stripes found.
struct look {
    bool has_anchor;
    bool was_taken;
    bool has_rival;
    struct rival rival;
    bool has_busy; // a stripe with units that somebody has locked, or changed just now
    stripe_row busy;
    int64 entries_seen; // in the index
};

// Tries the stripes that the scan finds, in their order, until one gives amount units or all it
// has. amount says how many it gave.
void try_stripes(const schema &objects, index_scan &scan, const SnapshotData &dirty,
                 int64 coupon_id, int64 &amount, look &seen) {
    while (!seen.was_taken && next_row(scan)) {
        stripe_row found = read_stripe(objects.quota, scan);
        seen.has_anchor |= found.stripe == anchor;
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

look look_at_stripes(const schema &objects, int64 coupon_id, ScanKeyData *keys, int key_count,
                     int64 &amount) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.quota_table, objects.quota_index, &dirty, keys, key_count,
                                 RowExclusiveLock);
    look seen = {};
    try_stripes(objects, scan, dirty, coupon_id, amount, seen);
    seen.entries_seen = scan.entries_seen;
    end_scan(scan);
    return seen;
}

int32 stripe_count(const coupon &offer) {
    return static_cast<int32>(Min(offer.max_redemptions, static_cast<int64>(quota_stripes)));
}

// The coupon that was found sold out last: no need to try the home stripe first.
int64 last_sold_out;

// The backend's own stripe, then all.
look look_from_home(const schema &objects, const coupon &offer, int64 &amount) {
    int32 home = static_cast<int32>(backend_number() % Max(stripe_count(offer), 1));
    ScanKeyData keys[] = {equals_bigint(1, offer.id), equals_integer(2, home)};
    if (offer.id != last_sold_out) {
        look seen = look_at_stripes(objects, offer.id, keys, 2, amount);
        if (seen.was_taken)
            return seen;
    }
    return look_at_stripes(objects, offer.id, keys, 1, amount);
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
    bool is_certain = seen.has_anchor && seen.entries_seen == 1;
    if (is_certain || read_quota(objects, offer.id, remaining)) {
        last_sold_out = remaining > 0 ? 0 : offer.id;
        return remaining > 0 ? supply::undecided : supply::sold_out;
    }
    coupon newest; // the cap may change while the lock is waited for
    if (lock_coupon(objects, offer.id, LockTupleNoKeyExclusive) &&
        find_coupon(objects, offer.id, newest) && is_capped(newest))
        set_up_quota(objects, newest);
    return supply::undecided;
}

void write_quota(const schema &objects, const coupon &offer, int64 units) {
    int32 count = Max(stripe_count(offer), 1);
    int64 share = units / count;
    int64 left_over = units % count; // less than count
    insert_stripe(objects, offer.id, anchor, share);
    for (int32 stripe = 1; stripe < count; stripe++) {
        int64 remaining = share + (stripe <= left_over ? 1 : 0);
        if (remaining > 0)
            insert_stripe(objects, offer.id, stripe, remaining);
    }
    CommandCounterIncrement();
}

int64 count_live_rows_or_wait(const schema &objects, int64 coupon_id) {
    int64 count;
    rival other;
    while (count_live_rows(objects, coupon_id, count, other) == lookup::undecided) {
        CHECK_FOR_INTERRUPTS();
        wait_for_rival(other);
    }
    return count;
}

void report_cap_below_use(const coupon &offer, int64 used) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("max_redemptions of coupon " INT64_FORMAT " cannot be " INT64_FORMAT,
                           offer.id, offer.max_redemptions),
                    errdetail(INT64_FORMAT " redemptions and holds are in use.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

// Adds units to the first stripe that nobody else has. False if there is none.
bool add_to_free_stripe(const schema &objects, int64 coupon_id, int64 count) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.quota_table, objects.quota_index, &dirty, keys,
                                 lengthof(keys), RowExclusiveLock);
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

// Whether the anchor exists; undecided if a rival is setting the quota up. Buyers who change the
// anchor are no such rivals: then a version that was there before is seen too.
lookup find_anchor(const schema &objects, int64 coupon_id, rival &rival) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), equals_integer(2, anchor)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.quota_table, objects.quota_index, &dirty, keys,
                                 lengthof(keys), RowExclusiveLock);
    lookup result = lookup::missing;
    while (result != lookup::found && next_row(scan)) {
        bool is_new = TransactionIdIsValid(dirty.xmin);
        if (is_new)
            find_rival(scan, dirty, rival);
        result = is_new ? lookup::undecided : lookup::found;
    }
    end_scan(scan);
    return result;
}

bool wait_for_anchor(const schema &objects, int64 coupon_id) {
    rival other;
    lookup result;
    while ((result = find_anchor(objects, coupon_id, other)) == lookup::undecided) {
        CHECK_FOR_INTERRUPTS();
        wait_for_rival(other);
    }
    return result == lookup::found;
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

// Takes up to wanted units, waiting until it is decided. 0: sold out.
int64 wait_for_units(const schema &objects, const coupon &offer, TimestampTz moment, int64 wanted) {
    for (;;) {
        rival other;
        int64 amount = wanted;
        supply result = take_units(objects, offer, moment, amount, other);
        CommandCounterIncrement();
        if (result != supply::undecided)
            return result == supply::taken ? amount : 0;
        CHECK_FOR_INTERRUPTS();
        if (TransactionIdIsValid(other.transaction))
            wait_for_rival(other);
    }
}

} // namespace

supply take_unit(const schema &objects, const coupon &offer, TimestampTz moment, rival &rival) {
    if (use_unit_ahead(offer.id))
        return supply::taken;
    int64 amount = units_to_take(offer.id);
    supply result = take_units(objects, offer, moment, amount, rival);
    if (result == supply::taken) {
        remember_units_taken(objects, offer.id, amount - 1);
        CommandCounterIncrement(); // a trigger may redeem the same coupon before we have finished
    }
    return result;
}

bool wait_for_unit(const schema &objects, const coupon &offer, TimestampTz moment) {
    if (use_unit_ahead(offer.id))
        return true;
    int64 taken = wait_for_units(objects, offer, moment, units_to_take(offer.id));
    if (taken > 0)
        remember_units_taken(objects, offer.id, taken - 1);
    return taken > 0;
}

bool is_quota_set_up(const schema &objects, int64 coupon_id) {
    if (wait_for_anchor(objects, coupon_id))
        return true;
    coupon offer; // without a cap it gets none before we end: its first cap waits for the ledger
    if (find_coupon(objects, coupon_id, offer) && !is_capped(offer))
        return false;
    return lock_coupon(objects, coupon_id, LockTupleShare) && wait_for_anchor(objects, coupon_id);
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
}

void set_up_quota(const schema &objects, const coupon &offer) {
    if (!lock_coupon(objects, offer.id, LockTupleNoKeyExclusive) ||
        wait_for_anchor(objects, offer.id))
        return;
    int64 used = count_live_rows_or_wait(objects, offer.id);
    if (used > offer.max_redemptions)
        report_cap_below_use(offer, used);
    write_quota(objects, offer, offer.max_redemptions - used);
}

void set_up_new_quota(const schema &objects, const coupon &offer) {
    write_quota(objects, offer, offer.max_redemptions);
    int64 used;
    rival other;
    bool is_used = count_live_rows(objects, offer.id, used, other) == lookup::undecided || used > 0;
    if (is_used)
        drop_quota(objects, offer.id);
}

void drop_quota(const schema &objects, int64 coupon_id) {
    withdraw_units_ahead(coupon_id);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_scan(objects.quota_table, objects.quota_index, newest, keys,
                                 lengthof(keys), RowExclusiveLock);
    while (next_row(scan)) {
        ItemPointerData tid = scan.row->tts_tid;
        simple_heap_delete(scan.table, &tid);
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    CommandCounterIncrement();
}

void drop_all_quotas(const schema &objects) {
    withdraw_all_units_ahead();
    Relation quota = table_open(objects.quota_table, RowExclusiveLock);
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    TableScanDesc scan = table_beginscan(quota, newest, 0, nullptr);
    TupleTableSlot *row = table_slot_create(quota, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, row)) {
        CHECK_FOR_INTERRUPTS();
        simple_heap_delete(quota, &row->tts_tid);
    }
    ExecDropSingleTupleTableSlot(row);
    table_endscan(scan);
    UnregisterSnapshot(newest);
    table_close(quota, NoLock);
    CommandCounterIncrement();
}

void change_cap(const schema &objects, const coupon &before, const coupon &after) {
    if (!wait_for_anchor(objects, after.id)) { // it is set up later, with the new cap
        int64 used = count_live_rows_or_wait(objects, after.id);
        if (used > after.max_redemptions)
            report_cap_below_use(after, used);
        return;
    }
    int64 more = after.max_redemptions - before.max_redemptions + withdraw_units_ahead(after.id);
    if (more > 0)
        return_units(objects, after.id, more);
    TimestampTz now = GetCurrentTimestamp();
    for (int64 less = -more; less > 0;) {
        int64 taken = wait_for_units(objects, before, now, less);
        if (taken == 0)
            report_cap_below_use(after, after.max_redemptions + less);
        less -= taken;
    }
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
