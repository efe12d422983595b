// Why the use numbers make every limit exact: a redemption takes a use number from 1 to the limit
// that no live row has, and the unique index lets only one row have it. What read_uses() saw may
// be out of date when the row is written; then the index refuses the row, and the flow starts
// over. Rows of transactions in progress count as taken while other numbers are free, so that
// nobody waits who need not: only when the limit hangs on how a rival ends is it waited for.
//
// The scans judge each row by itself (SnapshotDirty), to see the rows in progress. They can miss a
// row that is being updated just now; the unique index does not.

#include "ledger/ledger.hpp"

#include "pg/write.hpp"

namespace coupon_guard {
namespace {

// Of a user's uses of a coupon, when a free use number is known; a hold is among the latest.
constexpr int most_rows_read = 32;

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
    found.has_lapsed = found.is_voided && DatumGetTimestampTz(column_of(scan, columns.voided_at)) >=
                                              found.hold_expires_at;
    found.has_request = !is_null(scan, columns.request_id);
    found.row = scan.row->tts_tid;
    return found;
}

index_scan begin_user_scan(const catalog &tables, ScanKeyData (&keys)[2], const coupon_row &coupon,
                           const user_id &user, SnapshotData *dirty) {
    keys[0] = equals_bigint(1, coupon.id);
    keys[1] = equals_text(2, user.datum());
    return dirty == nullptr
               ? begin_scan(tables.ledger_table, tables.ledger_use_index, keys, lengthof(keys))
               : begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, *dirty, keys,
                                  lengthof(keys));
}

// Whether the hold at hand is the request's to use.
bool may_use_hold(const ledger_columns &columns, const index_scan &scan,
                  const request_id *request) {
    if (request == nullptr || is_null(scan, columns.request_id))
        return true;
    text *given = DatumGetTextPP(column_of(scan, columns.request_id));
    return VARSIZE_ANY_EXHDR(given) == request->length() &&
           memcmp(VARDATA_ANY(given), request->bytes, request->length()) == 0;
}

// The user's rows, read from the highest use number down. A row that is being updated is seen in
// two versions, and counts once.
uses_of_user judge_uses(const ledger_columns &columns, const SnapshotData &dirty, index_scan &scan,
                        int32 limit, const request_id *request, TimestampTz moment) {
    uses_of_user seen = {};
    int32 in_progress = 0;
    rival first_rival = {};
    int64 above = int64{limit} + 1; // the use number seen before, so the next one higher
    int64 last_rival = PG_INT64_MAX;
    bool has_free = false; // a number up to limit that no row has, while no row is beyond limit
    bool is_beyond = false;
    redemption hold;         // one that the request may use
    bool has_lapsed = false; // any that has expired: its number can be had
    redemption lapsed;
    int rows_read = 0;
    seen.is_allowed = decided(true);
    seen.free_use_no = 1;
    while (above > 1 && next_row(scan, BackwardScanDirection)) {
        redemption found = read_redemption(columns, scan);
        rival other;
        if (find_rival(scan, dirty, other)) {
            if (in_progress == 0)
                first_rival = other;
            in_progress += found.use_no != last_rival ? 1 : 0;
            last_rival = found.use_no;
        } else {
            depend_on_row(scan);
            bool is_usable = is_hold(found) && may_use_hold(columns, scan, request);
            if (is_usable && (found.hold_expires_at > moment || !seen.has_hold)) {
                hold = found;
                seen.has_hold = true;
                if (found.hold_expires_at > moment)
                    break; // a live one comes first
            }
            if (found.hold_expires_at <= moment) {
                has_lapsed = true;
                lapsed = found;
            }
            if (seen.count++ == 0 || found.redeemed_at > seen.latest.redeemed_at)
                seen.latest = found;
        }
        if (found.use_no < above - 1) {
            seen.free_use_no = found.use_no + 1;
            has_free = !is_beyond;
        }
        above = found.use_no;
        is_beyond |= found.use_no > limit;
        if (++rows_read >= most_rows_read && has_free)
            break; // fewer than limit, then; somebody who redeems any number of times
    }
    if (seen.has_hold) {
        seen.latest = hold;
        return seen;
    }
    if (above > 1 && !(rows_read >= most_rows_read && has_free))
        seen.free_use_no = 1;
    if (seen.count + in_progress < limit)
        return seen;
    seen.is_allowed = seen.count < limit ? hangs_on(first_rival) : decided(false);
    seen.has_lapsed_hold = has_lapsed;
    if (has_lapsed)
        seen.latest = lapsed;
    return seen;
}

// Counts rows that an index finds in the newest committed state, up to limit.
int64 count_rows(const installation &guard, Oid catalog::*index, ScanKeyData *keys, int key_count,
                 int64 limit = PG_INT64_MAX) {
    const catalog &tables = catalog_of(guard);
    index_scan scan = begin_scan(tables.ledger_table, tables.*index, keys, key_count);
    int64 count = 0;
    while (count < limit && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        count++;
    }
    end_scan(scan);
    return count;
}

// Whether the row that was locked is the one that was read, unchanged: its place may be another's
// by then.
bool is_as_read(const ledger_columns &columns, TupleTableSlot *row, const redemption &read) {
    bool is_null[4];
    int64 id = DatumGetInt64(slot_getattr(row, columns.id, &is_null[0]));
    int64 coupon_id = DatumGetInt64(slot_getattr(row, columns.coupon_id, &is_null[1]));
    TimestampTz deadline =
        DatumGetTimestampTz(slot_getattr(row, columns.hold_expires_at, &is_null[2]));
    slot_getattr(row, columns.voided_at, &is_null[3]);
    return !is_null[0] && id == read.id && !is_null[1] && coupon_id == read.coupon_id &&
           (is_null[2] ? no_deadline : deadline) == read.hold_expires_at &&
           is_null[3] != read.is_voided;
}

outcome change_row(const installation &guard, const redemption &found, const column_value *values,
                   int count, LockWaitPolicy wait, void_action before_change = nullptr) {
    Relation ledger = table_open(catalog_of(guard).ledger_table, NoLock);
    TupleTableSlot *row = table_slot_create(ledger, nullptr);
    ItemPointerData at = found.row;
    outcome result = decided(false);
    switch (lock_row(ledger, &at, row, wait)) {
    case row_lock::locked:
        if (!is_as_read(catalog_of(guard).ledger, row, found))
            break;
        if (before_change != nullptr)
            before_change(guard, found.coupon_id);
        update_row(catalog_of(guard).ledger_plan, row, values, count);
        result = decided(true);
        break;
    case row_lock::busy:
        result = look_again();
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

outcome mark_voided(const installation &guard, const redemption &found, TimestampTz moment,
                    Datum reason, bool has_reason, LockWaitPolicy wait, void_action before_change) {
    const ledger_columns &ledger = catalog_of(guard).ledger;
    const column_value values[] = {
        {ledger.voided_at, TimestampTzGetDatum(moment), false, true},
        {ledger.void_reason, reason, !has_reason, true},
    };
    return change_row(guard, found, values, lengthof(values), wait, before_change);
}

outcome mark_lapsed(const installation &guard, const redemption &expired, TimestampTz moment,
                    LockWaitPolicy wait) {
    return mark_voided(guard, expired, moment, CStringGetTextDatum("hold expired"), true, wait,
                       nullptr);
}

} // namespace

uses_of_user read_uses(const installation &guard, const coupon_row &coupon, const user_id &user,
                       const request_id *request, TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[2];
    SnapshotData dirty;
    index_scan scan = begin_user_scan(tables, keys, coupon, user, &dirty);
    uses_of_user seen =
        judge_uses(tables.ledger, dirty, scan, coupon.max_per_user, request, moment);
    end_scan(scan);
    return seen;
}

committed_uses read_committed_uses(const installation &guard, const coupon_row &coupon,
                                   const user_id &user, TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[2];
    index_scan scan = begin_user_scan(tables, keys, coupon, user, nullptr);
    committed_uses seen = {};
    while (next_row(scan)) {
        redemption found = read_redemption(tables.ledger, scan);
        bool is_live = found.hold_expires_at > moment;
        seen.has_hold |= is_hold(found);
        seen.has_live_hold |= is_hold(found) && is_live;
        seen.count += is_live ? 1 : 0;
    }
    end_scan(scan);
    return seen;
}

outcome find_request(const installation &guard, const user_id &user, const request_id &request,
                     redemption &found) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_text(1, user.datum()), equals_text(2, request.datum())};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_request_index, dirty,
                                       keys, lengthof(keys));
    outcome result = decided(false);
    if (next_row(scan)) {
        rival other;
        result = find_rival(scan, dirty, other) ? hangs_on(other) : decided(true);
        if (is_yes(result))
            depend_on_row(scan);
        found = read_redemption(tables.ledger, scan);
    }
    end_scan(scan);
    return result;
}

bool find_redemption(const installation &guard, int64 id, redemption &found) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, id)};
    index_scan scan = begin_scan(tables.ledger_table, tables.ledger_id_index, keys, lengthof(keys));
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_redemption(tables.ledger, scan);
    }
    end_scan(scan);
    return exists;
}

bool append_redemption(const installation &guard, const new_redemption &wanted,
                       redemption &written) {
    written.id = nextval_internal(catalog_of(guard).ledger_id_sequence, false);
    written.coupon_id = wanted.coupon_id;
    written.use_no = wanted.use_no;
    written.redeemed_at = wanted.moment;
    written.hold_expires_at = wanted.hold_expires_at;
    written.is_voided = false;

    const catalog &tables = catalog_of(guard);
    const ledger_columns &ledger = tables.ledger;
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
        {ledger.void_reason, Datum{0}, true, false},
        {ledger.request_id, has_request ? wanted.request->datum() : Datum{0}, !has_request, true},
        {ledger.metadata, wanted.metadata, !wanted.has_metadata, false},
    };
    return insert_row(tables.ledger_plan, values, lengthof(values));
}

outcome confirm_hold_row(const installation &guard, const redemption &hold, TimestampTz moment,
                         const request_id *request, Datum metadata, bool has_metadata) {
    const ledger_columns &ledger = catalog_of(guard).ledger;
    column_value values[4] = {
        {ledger.hold_expires_at, Datum{0}, true, true},
        {ledger.redeemed_at, TimestampTzGetDatum(moment), false, true},
    };
    int count = 2;
    if (request != nullptr)
        values[count++] = {ledger.request_id, request->datum(), false, true};
    if (has_metadata)
        values[count++] = {ledger.metadata, metadata, false, false};
    return change_row(guard, hold, values, count, LockWaitBlock);
}

outcome keep_hold_row(const installation &guard, const redemption &hold, TimestampTz deadline,
                      const request_id *request) {
    const ledger_columns &ledger = catalog_of(guard).ledger;
    column_value values[2] = {
        {ledger.hold_expires_at, TimestampTzGetDatum(deadline), false, true},
    };
    int count = 1;
    if (request != nullptr)
        values[count++] = {ledger.request_id, request->datum(), false, true};
    return change_row(guard, hold, values, count, LockWaitBlock);
}

outcome void_row(const installation &guard, const redemption &found, TimestampTz moment,
                 Datum reason, bool has_reason, void_action before_change) {
    return mark_voided(guard, found, moment, reason, has_reason, LockWaitBlock, before_change);
}

outcome void_expired_hold(const installation &guard, const redemption &expired,
                          TimestampTz moment) {
    return mark_lapsed(guard, expired, moment, LockWaitBlock);
}

outcome take_over_expired_hold(const installation &guard, int64 coupon_id, TimestampTz moment,
                               bool may_wait, bool &has_waited) {
    const catalog &tables = lock_table(guard, &catalog::ledger_table, RowExclusiveLock);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_hold_index, dirty, keys,
                                       lengthof(keys));
    outcome result = decided(false);
    bool has_busy = false;
    redemption busy;
    while (!is_yes(result) && next_row(scan)) {
        rival other;
        if (find_rival(scan, dirty, other)) {
            result = hangs_on(other);
            continue;
        }
        redemption expired = read_redemption(catalog_of(guard).ledger, scan);
        outcome change = mark_lapsed(guard, expired, moment, LockWaitSkip);
        if (is_undecided(change)) { // locked, but not changed as yet
            has_busy = true;
            busy = expired;
        } else if (is_yes(change)) {
            result = change;
        } else { // changed in this very moment
            result = look_again();
            break;
        }
    }
    end_scan(scan);
    if (result.verdict != verdict::no || !has_busy)
        return result;
    // Only such are left that somebody has locked.
    if (!may_wait)
        return look_again();
    has_waited = true;
    return is_yes(mark_lapsed(guard, busy, moment, LockWaitBlock)) ? decided(true) : look_again();
}

TimestampTz first_hold_deadline(const installation &guard, int64 coupon_id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_hold_index, dirty, keys,
                                       lengthof(keys));
    TimestampTz deadline =
        next_row(scan) ? read_redemption(tables.ledger, scan).hold_expires_at : no_deadline;
    end_scan(scan);
    return deadline;
}

outcome find_row_in_progress(const installation &guard, int64 coupon_id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, dirty, keys,
                                       lengthof(keys), AccessShareLock);
    outcome result = decided(false);
    while (!is_undecided(result) && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        rival other;
        if (find_rival(scan, dirty, other))
            result = hangs_on(other);
    }
    end_scan(scan);
    return result;
}

int64 count_settled_rows(const installation &guard, int64 coupon_id) {
    until_decided([&] { return find_row_in_progress(guard, coupon_id); });
    // Counted by a snapshot, for the look judges each row by itself, and may have missed one that
    // was being updated.
    return count_committed_rows(guard, coupon_id);
}

bool has_live_rows(const installation &guard, int64 coupon_id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, dirty, keys,
                                       lengthof(keys), AccessShareLock);
    bool has_any = next_row(scan);
    end_scan(scan);
    return has_any;
}

int64 count_committed_rows(const installation &guard, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return count_rows(guard, &catalog::ledger_use_index, keys, lengthof(keys));
}

int64 count_expired_holds(const installation &guard, int64 coupon_id, TimestampTz moment) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    return count_rows(guard, &catalog::ledger_hold_index, keys, lengthof(keys));
}

int64 count_holds_expiring(const installation &guard, int64 coupon_id, TimestampTz moment,
                           int64 enough) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_hold_index, dirty, keys,
                                       lengthof(keys));
    int64 count = 0;
    while (count < enough && next_row(scan))
        count++;
    end_scan(scan);
    return count;
}

bool has_redemptions(const installation &guard, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return count_rows(guard, &catalog::ledger_use_index, keys, lengthof(keys), 1) > 0 ||
           count_rows(guard, &catalog::ledger_voided_index, keys, lengthof(keys), 1) > 0;
}

bool has_redemptions(const installation &guard) {
    Relation ledger = table_open(catalog_of(guard).ledger_table, NoLock);
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
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
