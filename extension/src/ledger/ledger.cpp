#include "ledger/ledger.hpp"

#include "pg/write.hpp"

namespace coupon_guard {

redemption read_redemption(const ledger_columns &columns, const index_scan &scan) {
    slot_getallattrs(scan.row); // at once: cheaper than one by one
    redemption found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.coupon_id = DatumGetInt64(column_of(scan, columns.coupon_id));
    found.use_no = DatumGetInt32(column_of(scan, columns.use_no));
    found.amount =
        columns.amount == 0 ? 0 : DatumGetInt64(column_or(scan, columns.amount, Int64GetDatum(0)));
    found.has_campaign = columns.campaign_id != 0 && !is_null(scan, columns.campaign_id);
    if (found.has_campaign) {
        found.campaign_id = DatumGetInt64(column_of(scan, columns.campaign_id));
        found.campaign_use_no =
            DatumGetInt32(column_or(scan, columns.campaign_use_no, Int32GetDatum(PG_INT32_MAX)));
    }
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

namespace {

// Whether the row that was locked is the one that was read, unchanged: its place may be another's
// by then.
bool is_as_read(const ledger_columns &columns, TupleTableSlot *row, const redemption &read) {
    bool is_null[4];
    int64 id = DatumGetInt64(slot_getattr(row, columns.id, &is_null[0]));
    int64 coupon_id = DatumGetInt64(slot_getattr(row, columns.coupon_id, &is_null[1]));
    TimestampTz deadline =
        DatumGetTimestampTz(slot_getattr(row, columns.hold_expires_at, &is_null[2]));
    slot_getattr(row, columns.voided_at, &is_null[3]);
    if (columns.amount != 0) {
        bool has_none;
        int64 amount = DatumGetInt64(slot_getattr(row, columns.amount, &has_none));
        if ((has_none ? 0 : amount) != read.amount)
            return false;
        int64 campaign_id = DatumGetInt64(slot_getattr(row, columns.campaign_id, &has_none));
        if (has_none == read.has_campaign || (!has_none && campaign_id != read.campaign_id))
            return false;
    }
    return !is_null[0] && id == read.id && !is_null[1] && coupon_id == read.coupon_id &&
           (is_null[2] ? no_deadline : deadline) == read.hold_expires_at &&
           is_null[3] != read.is_voided;
}

outcome change_row(const installation &guard, const redemption &found, const column_value *values,
                   int count, LockWaitPolicy wait, const before_change &first = {}) {
    Relation ledger = table_open(catalog_of(guard).ledger_table, NoLock);
    TupleTableSlot *row = table_slot_create(ledger, nullptr);
    ItemPointerData at = found.row;
    outcome result = decided(false);
    switch (lock_row(ledger, &at, row, wait)) {
    case row_lock::locked:
        if (!is_as_read(catalog_of(guard).ledger, row, found))
            break;
        if (first.act != nullptr)
            first.act(guard, first.context);
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
                    Datum reason, bool has_reason, LockWaitPolicy wait,
                    const before_change &first) {
    const ledger_columns &ledger = catalog_of(guard).ledger;
    const column_value values[] = {
        {ledger.voided_at, TimestampTzGetDatum(moment), false, true},
        {ledger.void_reason, reason, !has_reason, true},
    };
    return change_row(guard, found, values, lengthof(values), wait, first);
}

} // namespace

outcome find_request(const installation &guard, const user_id &user, const request_id &request,
                     redemption &found) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_text(1, user.datum()), equals_text(2, request.datum())};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_request_index, dirty,
                                       keys, lengthof(keys), RowExclusiveLock, guard.ledger);
    outcome result = decided(false);
    if (next_row(scan)) {
        rival_transaction other;
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
    written.amount = wanted.amount;
    written.has_campaign = wanted.has_campaign;
    written.campaign_id = wanted.campaign_id;
    written.campaign_use_no = wanted.campaign_use_no;
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
        {ledger.amount, Int64GetDatum(wanted.amount), wanted.amount == 0, true},
        {ledger.campaign_id, Int64GetDatum(wanted.campaign_id), !wanted.has_campaign, true},
        {ledger.campaign_use_no, Int32GetDatum(wanted.campaign_use_no), !wanted.has_campaign, true},
    };
    const int new_columns = 3; // since 0.2.0
    return insert_row(tables.ledger_plan, values,
                      lengthof(values) - (tables.is_updated ? 0 : new_columns), guard.ledger);
}

outcome confirm_hold_row(const installation &guard, const redemption &hold, TimestampTz moment,
                         int64 amount, const request_id *request, Datum metadata, bool has_metadata,
                         const before_change &first) {
    const ledger_columns &ledger = catalog_of(guard).ledger;
    column_value values[5] = {
        {ledger.hold_expires_at, Datum{0}, true, true},
        {ledger.redeemed_at, TimestampTzGetDatum(moment), false, true},
    };
    int count = 2;
    if (request != nullptr)
        values[count++] = {ledger.request_id, request->datum(), false, true};
    if (has_metadata)
        values[count++] = {ledger.metadata, metadata, false, false};
    if (amount != hold.amount)
        values[count++] = {ledger.amount, Int64GetDatum(amount), false, true};
    return change_row(guard, hold, values, count, LockWaitBlock, first);
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
                 Datum reason, bool has_reason, const before_change &first) {
    return mark_voided(guard, found, moment, reason, has_reason, LockWaitBlock, first);
}

outcome reduce_row(const installation &guard, const redemption &found, int64 amount,
                   const before_change &first) {
    const column_value value = {catalog_of(guard).ledger.amount, Int64GetDatum(amount), false,
                                true};
    return change_row(guard, found, &value, 1, LockWaitBlock, first);
}

outcome void_expired_hold(const installation &guard, const redemption &expired, TimestampTz moment,
                          LockWaitPolicy wait) {
    outcome end =
        mark_voided(guard, expired, moment, CStringGetTextDatum("hold expired"), true, wait, {});
    if (is_yes(end))
        tally_up(counter::units_taken_over);
    return end;
}

} // namespace coupon_guard
