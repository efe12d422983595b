// Why the use numbers make every limit exact: a redemption takes a use number from 1 to the limit
// that no live row has, and the unique index lets only one row have it. What read_usage() saw may
// be out of date when the row is written; then the index refuses the row, and the flow starts
// over. Rows of transactions in progress count as taken while other numbers are free, so that
// nobody waits who need not: only when the limit hangs on how a rival ends is it waited for.
//
// The scans judge each row by itself (SnapshotDirty), to see the rows in progress. They can miss a
// row that is being updated just now; the unique index does not.

#include "ledger.hpp"

#include "pg/heap_write.hpp"
#include "pg/write.hpp"

namespace coupon_guard {
namespace {

constexpr int ledger_column_count = 10;

// Of a user's uses of a coupon, when a free use number is known; a hold is among the latest.
constexpr int most_looked_at = 32;

redemption read_redemption(const ledger_columns &columns, const index_scan &scan) {
    slot_getallattrs(scan.row); // at once: cheaper than one by one
    redemption found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.coupon_id = DatumGetInt64(column_of(scan, columns.coupon_id));
    found.use_no = DatumGetInt32(column_of(scan, columns.use_no));
    found.redeemed_at = DatumGetTimestampTz(column_of(scan, columns.redeemed_at));
    found.hold_expires_at = DatumGetTimestampTz(
        column_or(scan, columns.hold_expires_at, TimestampTzGetDatum(no_deadline)));
    found.is_voided = !is_null(scan, columns.voided_at);
    found.row = scan.row->tts_tid;
    return found;
}

index_scan begin_user_scan(const schema &objects, ScanKeyData (&keys)[2], const coupon &offer,
                           const user_id &user, Snapshot snapshot, LOCKMODE index_lock) {
    keys[0] = equals_bigint(1, offer.id);
    keys[1] = equals_text(2, user.datum());
    return begin_scan(objects.ledger_table, objects.ledger_use_index, snapshot, keys,
                      lengthof(keys), index_lock);
}

// The user's rows, read from the highest use number down. A row that is being updated is seen in
// two versions, and counts once.
usage weigh_uses(const ledger_columns &columns, const SnapshotData &dirty, index_scan &scan,
                 int32 limit) {
    usage seen = {};
    int32 in_progress = 0;
    int64 above = int64{limit} + 1; // the use number seen before, so the next one higher
    int64 last_rival = PG_INT64_MAX;
    bool has_free = false; // a number up to limit that no row has, while no row is beyond limit
    bool is_beyond = false;
    int looked_at = 0;
    seen.verdict = allowance::free;
    seen.free_use_no = 1;
    while (above > 1 && next_row(scan, BackwardScanDirection)) {
        redemption found = read_redemption(columns, scan);
        rival other;
        if (find_rival(scan, dirty, other)) {
            if (in_progress == 0)
                seen.rival = other;
            in_progress += found.use_no != last_rival ? 1 : 0;
            last_rival = found.use_no;
        } else {
            depend_on_row(scan);
            if (is_hold(found)) {
                seen.verdict = allowance::has_hold;
                seen.latest = found;
                return seen;
            }
            if (seen.uses++ == 0 || found.redeemed_at > seen.latest.redeemed_at)
                seen.latest = found;
        }
        if (found.use_no < above - 1) {
            seen.free_use_no = found.use_no + 1;
            has_free = !is_beyond;
        }
        above = found.use_no;
        is_beyond |= found.use_no > limit;
        if (++looked_at >= most_looked_at && has_free)
            return seen; // fewer than limit, then; somebody who redeems any number of times
    }
    if (above > 1)
        seen.free_use_no = 1;
    if (seen.uses >= limit)
        seen.verdict = allowance::used_up;
    else if (seen.uses + in_progress >= limit)
        seen.verdict = allowance::undecided;
    return seen;
}

// Counts rows that an index finds in the newest committed state, up to limit.
int64 count_rows(const schema &objects, Oid index, ScanKeyData *keys, int key_count, int64 limit) {
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_scan(objects.ledger_table, index, newest, keys, key_count);
    int64 count = 0;
    while (count < limit && next_row(scan))
        count++;
    end_scan(scan);
    UnregisterSnapshot(newest);
    return count;
}

// Writes a row of a ledger that is as the extension made it.
bool append_plain_row(const schema &objects, const column_value *given, int count, bool has_request,
                      bool is_hold) {
    const ledger_columns &ledger = objects.ledger;
    Datum values[ledger_column_count] = {};
    bool nulls[ledger_column_count];
    memset(nulls, true, sizeof nulls);
    for (int i = 0; i < count; i++) {
        values[given[i].column - 1] = given[i].value;
        nulls[given[i].column - 1] = given[i].is_null;
    }
    index_entry entries[4] = {
        {objects.ledger_use_index, {ledger.coupon_id, ledger.user_id, ledger.use_no}, 3, true},
    };
    int entry_count = 1;
    if (has_request)
        entries[entry_count++] = {
            objects.ledger_request_index, {ledger.user_id, ledger.request_id}, 2, true};
    entries[entry_count++] = {objects.ledger_id_index, {ledger.id}, 1, false};
    if (is_hold)
        entries[entry_count++] = {
            objects.ledger_hold_index, {ledger.coupon_id, ledger.hold_expires_at}, 2, false};
    bool inserted = insert_plain_row(objects.ledger_table, values, nulls, entries, entry_count);
    CommandCounterIncrement();
    return inserted;
}

row_change change_row(const schema &objects, const redemption &found, const column_value *values,
                      int count, LockWaitPolicy wait) {
    Relation ledger = table_open(objects.ledger_table, NoLock);
    TupleTableSlot *row = table_slot_create(ledger, nullptr);
    ItemPointerData at = found.row;
    row_change result = row_change::stale;
    switch (lock_row(ledger, &at, row, wait)) {
    case row_lock::locked:
        update_row({objects.ledger_table, objects.ledger_trigger, nullptr, 0}, row, values, count);
        result = row_change::done;
        break;
    case row_lock::busy:
        result = row_change::busy;
        break;
    case row_lock::changed:
        break;
    case row_lock::own:
        ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                        errmsg("redemption " INT64_FORMAT
                               " was already changed by the command that is running",
                               found.id)));
    }
    ExecDropSingleTupleTableSlot(row);
    table_close(ledger, NoLock);
    return result;
}

} // namespace

usage read_usage(const schema &objects, const coupon &offer, const user_id &user) {
    ScanKeyData keys[2];
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_user_scan(objects, keys, offer, user, &dirty, RowExclusiveLock);
    usage seen = weigh_uses(objects.ledger, dirty, scan, offer.max_per_user);
    end_scan(scan);
    return seen;
}

user_state read_user_state(const schema &objects, const coupon &offer, const user_id &user,
                           TimestampTz moment) {
    ScanKeyData keys[2];
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_user_scan(objects, keys, offer, user, newest, AccessShareLock);
    user_state state = {};
    while (next_row(scan)) {
        redemption found = read_redemption(objects.ledger, scan);
        bool is_live = found.hold_expires_at > moment;
        state.has_hold |= is_hold(found);
        state.has_live_hold |= is_hold(found) && is_live;
        state.uses += is_live ? 1 : 0;
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    return state;
}

lookup find_request(const schema &objects, const user_id &user, const request_id &request,
                    redemption &found, rival &rival) {
    ScanKeyData keys[] = {equals_text(1, user.datum()), equals_text(2, request.datum())};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.ledger_table, objects.ledger_request_index, &dirty, keys,
                                 lengthof(keys), RowExclusiveLock);
    lookup result = lookup::missing;
    if (next_row(scan)) {
        result = find_rival(scan, dirty, rival) ? lookup::undecided : lookup::found;
        if (result == lookup::found)
            depend_on_row(scan);
        found = read_redemption(objects.ledger, scan);
    }
    end_scan(scan);
    return result;
}

bool find_redemption(const schema &objects, int64 id, redemption &found) {
    ScanKeyData keys[] = {equals_bigint(1, id)};
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan =
        begin_scan(objects.ledger_table, objects.ledger_id_index, newest, keys, lengthof(keys));
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_redemption(objects.ledger, scan);
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    return exists;
}

bool append_redemption(const schema &objects, const new_redemption &wanted, redemption &written) {
    written.id = nextval_internal(objects.ledger_id_sequence, false);
    written.coupon_id = wanted.coupon_id;
    written.use_no = wanted.use_no;
    written.redeemed_at = wanted.moment;
    written.hold_expires_at = wanted.hold_expires_at;
    written.is_voided = false;

    const ledger_columns &ledger = objects.ledger;
    bool has_request = wanted.request != nullptr;
    const column_value values[] = {
        {ledger.id, Int64GetDatum(written.id), false, true},
        {ledger.coupon_id, Int64GetDatum(wanted.coupon_id), false, true},
        {ledger.user_id, wanted.user->datum(), false, true},
        {ledger.use_no, Int32GetDatum(wanted.use_no), false, true},
        {ledger.redeemed_at, TimestampTzGetDatum(wanted.moment), false, true},
        {ledger.hold_expires_at, TimestampTzGetDatum(wanted.hold_expires_at), !is_hold(written),
         true},
        {ledger.voided_at, Datum{0}, true, true},
        {ledger.request_id, has_request ? wanted.request->datum() : Datum{0}, !has_request, true},
        {ledger.metadata, wanted.metadata, !wanted.has_metadata, false},
    };
    if (objects.is_plain_ledger)
        return append_plain_row(objects, values, lengthof(values), has_request, is_hold(written));
    const index_shape arbiters[] = {use_index_shape(ledger), request_index_shape(ledger)};
    return insert_row({objects.ledger_table, objects.ledger_trigger, arbiters, lengthof(arbiters)},
                      values, lengthof(values));
}

row_change confirm_hold_row(const schema &objects, const redemption &hold, TimestampTz moment,
                            const request_id *request, Datum metadata, bool has_metadata) {
    const ledger_columns &ledger = objects.ledger;
    column_value values[4] = {
        {ledger.hold_expires_at, Datum{0}, true, true},
        {ledger.redeemed_at, TimestampTzGetDatum(moment), false, true},
    };
    int count = 2;
    if (request != nullptr)
        values[count++] = {ledger.request_id, request->datum(), false, true};
    if (has_metadata)
        values[count++] = {ledger.metadata, metadata, false, false};
    return change_row(objects, hold, values, count, LockWaitBlock);
}

row_change extend_hold_row(const schema &objects, const redemption &hold, TimestampTz deadline) {
    const column_value values[] = {
        {objects.ledger.hold_expires_at, TimestampTzGetDatum(deadline), false, true}};
    return change_row(objects, hold, values, lengthof(values), LockWaitBlock);
}

row_change void_row(const schema &objects, const redemption &found, TimestampTz moment,
                    Datum reason, bool has_reason, LockWaitPolicy wait) {
    const column_value values[] = {
        {objects.ledger.voided_at, TimestampTzGetDatum(moment), false, true},
        {objects.ledger.void_reason, reason, !has_reason, true},
    };
    return change_row(objects, found, values, lengthof(values), wait);
}

static row_change void_expired_hold(const schema &objects, const redemption &expired,
                                    TimestampTz moment, LockWaitPolicy wait) {
    return void_row(objects, expired, moment, CStringGetTextDatum("hold expired"), true, wait);
}

lookup take_over_expired_hold(const schema &objects, int64 coupon_id, TimestampTz moment,
                              rival &rival) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.ledger_table, objects.ledger_hold_index, &dirty, keys,
                                 lengthof(keys), RowExclusiveLock);
    bool was_taken = false;
    bool has_rival = false;
    bool has_busy = false;
    redemption busy;
    while (!was_taken && next_row(scan)) {
        if (find_rival(scan, dirty, rival)) {
            has_rival = true;
            continue;
        }
        redemption expired = read_redemption(objects.ledger, scan);
        switch (void_expired_hold(objects, expired, moment, LockWaitSkip)) {
        case row_change::done:
            was_taken = true;
            break;
        case row_change::busy: // locked, but not changed as yet
            has_busy = true;
            busy = expired;
            break;
        case row_change::stale: // changed in this very moment
            end_scan(scan);
            rival.transaction = InvalidTransactionId;
            return lookup::undecided;
        }
    }
    end_scan(scan);
    if (was_taken)
        return lookup::found;
    if (has_rival)
        return lookup::undecided;
    if (!has_busy)
        return lookup::missing;
    // Only such are left that somebody has locked: wait for the lock.
    rival.transaction = InvalidTransactionId;
    return void_expired_hold(objects, busy, moment, LockWaitBlock) == row_change::done
               ? lookup::found
               : lookup::undecided;
}

TimestampTz first_hold_deadline(const schema &objects, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.ledger_table, objects.ledger_hold_index, &dirty, keys,
                                 lengthof(keys), RowExclusiveLock);
    TimestampTz deadline =
        next_row(scan) ? read_redemption(objects.ledger, scan).hold_expires_at : no_deadline;
    end_scan(scan);
    return deadline;
}

lookup count_live_rows(const schema &objects, int64 coupon_id, int64 &count, rival &rival) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_scan(objects.ledger_table, objects.ledger_use_index, &dirty, keys,
                                 lengthof(keys), RowExclusiveLock);
    lookup result = lookup::found;
    count = 0;
    while (result == lookup::found && next_row(scan)) {
        count++;
        if (find_rival(scan, dirty, rival))
            result = lookup::undecided;
    }
    end_scan(scan);
    return result;
}

int64 count_rows_of(const schema &objects, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return count_rows(objects, objects.ledger_use_index, keys, lengthof(keys), PG_INT64_MAX);
}

int64 count_expired_holds(const schema &objects, int64 coupon_id, TimestampTz moment) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    return count_rows(objects, objects.ledger_hold_index, keys, lengthof(keys), PG_INT64_MAX);
}

bool has_redemptions(const schema &objects, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return count_rows(objects, objects.ledger_use_index, keys, lengthof(keys), 1) > 0 ||
           count_rows(objects, objects.ledger_voided_index, keys, lengthof(keys), 1) > 0;
}

bool has_redemptions(const schema &objects) {
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    Relation ledger = table_open(objects.ledger_table, NoLock);
    TableScanDesc scan = table_beginscan(ledger, newest, 0, nullptr);
    TupleTableSlot *row = table_slot_create(ledger, nullptr);
    bool found = table_scan_getnextslot(scan, ForwardScanDirection, row);
    ExecDropSingleTupleTableSlot(row);
    table_endscan(scan);
    table_close(ledger, NoLock);
    UnregisterSnapshot(newest);
    return found;
}

} // namespace coupon_guard
