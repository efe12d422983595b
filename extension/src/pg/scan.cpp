#include "pg/scan.hpp"

namespace coupon_guard {

static index_scan open_scan(Oid table, Oid index, LOCKMODE index_lock, open_table *kept = nullptr) {
    index_scan scan;
    scan.table = open_locked_table(kept, table);
    Assert(CheckRelationLockedByMe(scan.table, AccessShareLock, true));
    scan.index = open_index_with(kept, index, index_lock);
    scan.row = kept == nullptr ? table_slot_create(scan.table, nullptr) : nullptr;
    scan.newest = nullptr;
    scan.fingerprint = 0;
    scan.entries_left = PG_INT64_MAX;
    scan.kept = kept;
    scan.rivals_have = awaited::rival;
    return scan;
}

static void start_scan(index_scan &scan, Snapshot snapshot, ScanKeyData *keys, int count) {
    scan.scan = begin_index_scan(scan.table, scan.index, snapshot, count);
    index_rescan(scan.scan, keys, count, nullptr, 0);
}

// A scan at rest goes on with other keys. False: there is none.
static bool wake_scan(index_scan &scan, Snapshot dirty, ScanKeyData *keys, int count) {
    open_index *kept = find_kept(scan.kept, RelationGetRelid(scan.index));
    if (kept == nullptr || kept->scan == nullptr || kept->scan->numberOfKeys != count)
        return false;
    scan.scan = kept->scan;
    scan.row = kept->row;
    kept->scan = nullptr;
    scan.scan->xs_snapshot = dirty;
    index_rescan(scan.scan, keys, count, nullptr, 0);
    return true;
}

// One that has met an entry pins pages, and has memory of whoever read it.
static bool rest_scan(index_scan &scan) {
    open_index *kept = find_kept(scan.kept, RelationGetRelid(scan.index));
    if (kept == nullptr || kept->scan != nullptr || scan.entries_left < PG_INT64_MAX)
        return false;
    Assert(scan.newest == nullptr);
    kept->scan = scan.scan;
    kept->row = scan.row;
    return true;
}

index_scan begin_scan(Oid table, Oid index, ScanKeyData *keys, int count, LOCKMODE index_lock) {
    index_scan scan = open_scan(table, index, index_lock);
    // Only now, for a lock may have been waited for. An MVCC snapshot, for a scan that judges each
    // row by itself can miss a row that is being updated: it may see neither the new version, not
    // yet committed, nor the old, dead by then.
    scan.newest = RegisterSnapshot(GetLatestSnapshot());
    start_scan(scan, scan.newest, keys, count);
    return scan;
}

index_scan begin_dirty_scan(Oid table, Oid index, SnapshotData &dirty, ScanKeyData *keys, int count,
                            LOCKMODE index_lock, open_table *kept) {
    index_scan scan = open_scan(table, index, index_lock, kept);
    InitDirtySnapshot(dirty);
    if (kept == nullptr) {
        start_scan(scan, &dirty, keys, count);
    } else if (!wake_scan(scan, &dirty, keys, count)) {
        MemoryContext caller = MemoryContextSwitchTo(kept->memory);
        scan.row = table_slot_create(scan.table, nullptr);
        start_scan(scan, &dirty, keys, count);
        MemoryContextSwitchTo(caller);
    }
    return scan;
}

index_scan begin_version_scan(Oid table, Oid index, ScanKeyData *keys, int count) {
    index_scan scan = open_scan(table, index, AccessShareLock);
    start_scan(scan, SnapshotAny, keys, count);
    return scan;
}

bool find_outermost(Oid table, Oid index, ScanKeyData *keys, int count, ScanDirection direction,
                    AttrNumber index_column, int64 &value) {
    index_scan scan = open_scan(table, index, AccessShareLock);
    scan.scan = begin_index_scan(scan.table, scan.index, SnapshotAny, count);
    scan.scan->xs_want_itup = true;
    index_rescan(scan.scan, keys, count, nullptr, 0);
    bool exists = index_getnext_tid(scan.scan, direction) != nullptr;
    if (exists) {
        bool is_null;
        value = DatumGetInt64(
            index_getattr(scan.scan->xs_itup, index_column, scan.scan->xs_itupdesc, &is_null));
        exists = !is_null;
    }
    end_scan(scan);
    return exists;
}

void restart_scan(index_scan &scan, ScanKeyData *keys, int count) {
    index_rescan(scan.scan, keys, count, nullptr, 0);
    scan.fingerprint = 0;
}

static uint64 place_of(const ItemPointerData &tid) {
    return (uint64{ItemPointerGetBlockNumberNoCheck(&tid)} << 16) |
           ItemPointerGetOffsetNumberNoCheck(&tid);
}

// index_getnext_slot(), but that it notes the entries.
bool next_row(index_scan &scan, ScanDirection direction) {
    for (;;) {
        if (!scan.scan->xs_heap_continue) {
            ItemPointer entry =
                scan.entries_left > 0 ? index_getnext_tid(scan.scan, direction) : nullptr;
            if (entry == nullptr)
                return false;
            scan.entries_left--;
            scan.fingerprint = combine(scan.fingerprint, place_of(*entry));
        }
        if (index_fetch_heap(scan.scan, scan.row))
            return true;
    }
}

void end_scan(index_scan &scan) {
    if (scan.kept == nullptr || !rest_scan(scan)) {
        index_endscan(scan.scan);
        ExecDropSingleTupleTableSlot(scan.row);
    }
    if (scan.newest != nullptr)
        UnregisterSnapshot(scan.newest);
    close_index(scan.kept, scan.index);
    close_table(scan.kept, scan.table);
}

table_scan begin_table_scan(Relation table) {
    Assert(CheckRelationLockedByMe(table, AccessShareLock, true));
    table_scan scan;
    scan.newest = RegisterSnapshot(GetLatestSnapshot());
    scan.scan = table_beginscan(table, scan.newest, 0, nullptr);
    scan.row = table_slot_create(table, nullptr);
    return scan;
}

bool next_row(table_scan &scan) {
    CHECK_FOR_INTERRUPTS();
    return table_scan_getnextslot(scan.scan, ForwardScanDirection, scan.row);
}

void end_scan(table_scan &scan) {
    ExecDropSingleTupleTableSlot(scan.row);
    table_endscan(scan.scan);
    UnregisterSnapshot(scan.newest);
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

ScanKeyData is_at_most(AttrNumber index_column, TimestampTz value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTLessEqualStrategyNumber, F_TIMESTAMPTZ_LE,
                TimestampTzGetDatum(value));
    return key;
}

ScanKeyData is_at_least_bigint(AttrNumber index_column, int64 value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(value));
    return key;
}

ScanKeyData is_at_most_bigint(AttrNumber index_column, int64 value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(value));
    return key;
}

ScanKeyData equals_integer(AttrNumber index_column, int32 value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(value));
    return key;
}

ScanKeyData equals_char(AttrNumber index_column, char value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTEqualStrategyNumber, F_CHAREQ, CharGetDatum(value));
    return key;
}

ScanKeyData equals_uuid(AttrNumber index_column, Datum value) {
    ScanKeyData key;
    ScanKeyInit(&key, index_column, BTEqualStrategyNumber, F_UUID_EQ, value);
    return key;
}

bool find_rival(const index_scan &scan, const SnapshotData &dirty, rival_transaction &found) {
    found.transaction = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
    if (!TransactionIdIsValid(found.transaction))
        return false;
    found.speculative_token = dirty.speculativeToken;
    found.table = RelationGetRelid(scan.table);
    found.row = scan.row->tts_tid;
    found.has = scan.rivals_have;
    return true;
}

Datum column_of(const index_scan &scan, AttrNumber column) {
    bool missing;
    Datum value = slot_getattr(scan.row, column, &missing);
    if (missing)
        ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                        errmsg("unexpected null in column %d of table \"%s\"", column,
                               RelationGetRelationName(scan.table))));
    return value;
}

Datum column_or(const index_scan &scan, AttrNumber column, Datum if_null) {
    bool missing;
    Datum value = slot_getattr(scan.row, column, &missing);
    return missing ? if_null : value;
}

bool is_null(const index_scan &scan, AttrNumber column) {
    bool missing;
    slot_getattr(scan.row, column, &missing);
    return missing;
}

bool is_settled(const index_scan &scan) {
    bool should_free;
    HeapTupleHeader row = ExecFetchSlotHeapTuple(scan.row, false, &should_free)->t_data;
    Assert(!should_free); // a scan's slot holds the buffer's own tuple
    return !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row)) &&
           ((row->t_infomask & HEAP_XMAX_INVALID) != 0 ||
            HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask));
}

bool is_own_insert(const index_scan &scan, CommandId &command) {
    bool should_free;
    HeapTupleHeader row = ExecFetchSlotHeapTuple(scan.row, false, &should_free)->t_data;
    Assert(!should_free);
    if ((row->t_infomask & HEAP_UPDATED) != 0 ||
        !TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(row)))
        return false;
    command = HeapTupleHeaderGetCmin(row);
    return true;
}

bool is_being_deleted(const index_scan &scan, const SnapshotData &dirty) {
    if (!TransactionIdIsValid(dirty.xmax))
        return false;
    bool should_free;
    HeapTuple row = ExecFetchSlotHeapTuple(scan.row, false, &should_free);
    Assert(!should_free);
    return ItemPointerEquals(&row->t_self, &row->t_data->t_ctid); // else: the next version
}

version_fate fate_of_version(const index_scan &scan, Snapshot since, rival_transaction &rival) {
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    if (table_tuple_satisfies_snapshot(scan.table, scan.row, &dirty))
        return find_rival(scan, dirty, rival) ? version_fate::in_progress : version_fate::there;
    if (table_tuple_satisfies_snapshot(scan.table, scan.row, since))
        return version_fate::changed;
    bool should_free;
    HeapTupleHeader row = ExecFetchSlotHeapTuple(scan.row, false, &should_free)->t_data;
    Assert(!should_free);
    TransactionId creator = HeapTupleHeaderGetXmin(row);
    return XidInMVCCSnapshot(creator, since) && TransactionIdDidCommit(creator)
               ? version_fate::changed
               : version_fate::gone;
}

uint64 state_of_row(const index_scan &scan, const SnapshotData &dirty) {
    bool should_free;
    HeapTupleHeader row = ExecFetchSlotHeapTuple(scan.row, false, &should_free)->t_data;
    Assert(!should_free);
    uint64 state = combine(place_of(scan.row->tts_tid), HeapTupleHeaderGetRawXmin(row));
    state = combine(state, HeapTupleHeaderGetRawXmax(row));
    state = combine(state, row->t_infomask & (HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY));
    return combine(combine(state, dirty.xmin), dirty.xmax);
}

void depend_on_row(const index_scan &scan) {
    depend_on_row(scan.table, scan.row);
}

void depend_on_row(Relation table, TupleTableSlot *row) {
    if (!IsolationIsSerializable())
        return;
    bool should_free;
    HeapTuple tuple = ExecFetchSlotHeapTuple(row, false, &should_free);
    TransactionId creator = HeapTupleHeaderGetXmin(tuple->t_data); // FrozenTransactionId if frozen
    Assert(!should_free);
    if (TransactionIdIsCurrentTransactionId(creator))
        return;
    Snapshot snapshot = GetTransactionSnapshot();
    if (XidInMVCCSnapshot(creator, snapshot))
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("could not serialize access due to concurrent update"),
                        errdetail("Table \"%s\" has a row that decides this call but was committed "
                                  "after this transaction's snapshot was taken.",
                                  RelationGetRelationName(table)),
                        errhint("The transaction might succeed if retried.")));
    PredicateLockTID(table, &row->tts_tid, snapshot, creator);
}

} // namespace coupon_guard
