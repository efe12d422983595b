#include "coupon/held_code.hpp"

#include "pg/write.hpp"

namespace coupon_guard {
namespace {

TransactionId creator_of(TupleTableSlot *row) {
    bool should_free;
    HeapTupleHeader header = ExecFetchSlotHeapTuple(row, false, &should_free)->t_data;
    Assert(!should_free);
    return HeapTupleHeaderGetRawXmin(header);
}

// Whether the version that was locked is the one that was read: its place may be another's by then.
bool is_as_read(const coupon_columns &columns, TupleTableSlot *row, const campaign_code &read) {
    bool is_null;
    Datum id = slot_getattr(row, columns.id, &is_null);
    return !is_null && DatumGetInt64(id) == read.id && creator_of(row) == read.creator;
}

// In the newest committed state as of one moment.
bool find_committed(const installation &guard, ScanKeyData *keys, int count, campaign_code &found) {
    const catalog &tables = catalog_of(guard);
    index_scan scan = begin_scan(tables.coupon_table, tables.coupon_holder_index, keys, count);
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_code(guard, scan);
    }
    end_scan(scan);
    return exists;
}

} // namespace

campaign_code read_code(const installation &guard, const index_scan &scan) {
    const coupon_columns &columns = catalog_of(guard).coupon;
    campaign_code found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.code = PointerGetDatum(PG_DETOAST_DATUM_COPY(column_of(scan, columns.code)));
    found.has_terms = !is_null(scan, columns.terms);
    found.terms = found.has_terms
                      ? PointerGetDatum(PG_DETOAST_DATUM_COPY(column_of(scan, columns.terms)))
                      : Datum{0};
    found.row = scan.row->tts_tid;
    found.creator = creator_of(scan.row);
    return found;
}

outcome find_held_code(const installation &guard, int64 campaign_id, Datum user,
                       campaign_code &found) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, campaign_id), equals_text(2, user)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.coupon_table, tables.coupon_holder_index, dirty, keys,
                                       lengthof(keys));
    outcome result = decided(false);
    while (!is_yes(result) && next_row(scan)) {
        rival_transaction other;
        bool is_new = find_rival(scan, dirty, other) && TransactionIdIsValid(dirty.xmin);
        if (is_new) { // else a rival that is taking it away may as well come later
            result = hangs_on(other);
            continue;
        }
        depend_on_row(scan);
        found = read_code(guard, scan);
        result = decided(true);
    }
    bool may_be_missed = is_no(result) && scan.fingerprint != 0;
    end_scan(scan);
    // A row that is being updated is missed if that commits just then.
    if (may_be_missed && find_committed(guard, keys, lengthof(keys), found))
        return decided(true);
    return result;
}

outcome change_holder(const installation &guard, const campaign_code &code, Datum user,
                      bool has_user, LockWaitPolicy wait) {
    Relation table = table_open(catalog_of(guard).coupon_table, NoLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    ItemPointerData at = code.row;
    outcome result = look_again();
    switch (lock_row(table, &at, row, wait)) {
    case row_lock::locked:
        if (is_as_read(catalog_of(guard).coupon, row, code)) {
            depend_on_row(table, row);
            const column_value holder = {catalog_of(guard).coupon.holder, user, !has_user, true};
            update_row(through_executor(table), row, &holder, 1);
            result = decided(true);
        }
        break;
    case row_lock::busy:
        result = decided(false);
        break;
    case row_lock::changed:
        break;
    case row_lock::own:
        ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                        errmsg("coupon " INT64_FORMAT
                               " was already changed by the command that is running",
                               code.id)));
    }
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
    return result;
}

void wait_for_code(const installation &guard, const campaign_code &code) {
    Relation table = table_open(catalog_of(guard).coupon_table, NoLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    ItemPointerData at = code.row;
    lock_row(table, &at, row, LockWaitBlock);
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
}

} // namespace coupon_guard
