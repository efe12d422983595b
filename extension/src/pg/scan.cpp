#include "pg/scan.hpp"

namespace coupon_guard {

index_scan begin_scan(Oid table, Oid index, Snapshot snapshot, ScanKeyData *keys, int count) {
    index_scan scan;
    scan.table = table_open(table, AccessShareLock);
    scan.index = index_open(index, AccessShareLock);
    scan.row = table_slot_create(scan.table, nullptr);
    scan.scan = begin_index_scan(scan.table, scan.index, snapshot, count);
    index_rescan(scan.scan, keys, count, nullptr, 0);
    return scan;
}

bool next_row(index_scan &scan, ScanDirection direction) {
    return index_getnext_slot(scan.scan, direction, scan.row);
}

void end_scan(index_scan &scan) {
    index_endscan(scan.scan);
    ExecDropSingleTupleTableSlot(scan.row);
    index_close(scan.index, NoLock);
    table_close(scan.table, NoLock);
}

ScanKeyData equals_bigint(AttrNumber index_column, int64 value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(value));
    return key;
}

ScanKeyData equals_text(AttrNumber index_column, Datum value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTEqualStrategyNumber, F_TEXTEQ, value);
    key.sk_collation = C_COLLATION_OID;
    return key;
}

Datum column_of(const index_scan &scan, AttrNumber column) {
    bool is_null;
    Datum value = slot_getattr(scan.row, column, &is_null);
    if (is_null)
        ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                        errmsg("unexpected null in column %d of table \"%s\"", column,
                               RelationGetRelationName(scan.table))));
    return value;
}

Datum column_or(const index_scan &scan, AttrNumber column, Datum if_null) {
    bool is_null;
    Datum value = slot_getattr(scan.row, column, &is_null);
    return is_null ? if_null : value;
}

void depend_on_row(const index_scan &scan) {
    if (!IsolationIsSerializable())
        return;
    bool should_free;
    HeapTuple tuple = ExecFetchSlotHeapTuple(scan.row, false, &should_free);
    TransactionId creator = HeapTupleHeaderGetXmin(tuple->t_data); // FrozenTransactionId if frozen
    if (should_free)
        heap_freetuple(tuple);
    if (TransactionIdIsCurrentTransactionId(creator))
        return;
    Snapshot snapshot = GetTransactionSnapshot();
    if (XidInMVCCSnapshot(creator, snapshot))
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("could not serialize access due to concurrent update"),
                        errdetail("Table \"%s\" has a row that decides this call but was committed "
                                  "after this transaction's snapshot was taken.",
                                  RelationGetRelationName(scan.table)),
                        errhint("The transaction might succeed if retried.")));
    PredicateLockTID(scan.table, &scan.row->tts_tid, snapshot, creator);
}

} // namespace coupon_guard
