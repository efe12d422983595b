// Insertion is speculative, as in write.cpp, which says why that cannot livelock.
//
// Changing a row without waiting: heap_update() and heap_delete() wait for whoever else is changing
// the row, and may not be told otherwise. So the row is first seen to be free, and nobody may begin
// to change it between that and the change (nor is its place given to another row, for it is
// pinned): a change without waiting first takes the tuple lock, without waiting for that either,
// and keeps it until the change is made. (A session that changes it by plain SQL in that moment is
// waited for.)

#include "pg/heap_write.hpp"

namespace coupon_guard {
namespace {

bool has_entry(const plain_index &index, const bool *nulls) {
    const null_tests &tests = index.tests;
    if (tests.null_column != 0 && !nulls[tests.null_column - 1])
        return false;
    for (AttrNumber column : tests.not_null_columns)
        if (column != 0 && nulls[column - 1])
            return false;
    return true;
}

// The entry of the row at tid in one index. False if the index arbitrates and has a row of the same
// key.
bool insert_entry(Relation table, ItemPointer tid, const Datum *values, const bool *nulls,
                  const plain_index &plain, open_table *kept) {
    static IndexInfo unused_by_btree = {T_IndexInfo};
    Datum key[INDEX_MAX_KEYS];
    bool key_nulls[INDEX_MAX_KEYS];
    for (int i = 0; i < plain.column_count; i++) {
        key[i] = values[plain.columns[i] - 1];
        key_nulls[i] = nulls[plain.columns[i] - 1];
    }
    Relation index = open_index_with(kept, plain.index, RowExclusiveLock);
    IndexUniqueCheck check = !plain.is_unique   ? UNIQUE_CHECK_NO
                             : plain.arbitrates ? UNIQUE_CHECK_PARTIAL
                                                : UNIQUE_CHECK_YES;
    bool is_unique =
        index_insert(index, key, key_nulls, tid, table, check, false, &unused_by_btree);
    close_index(kept, index);
    return is_unique || check != UNIQUE_CHECK_PARTIAL;
}

bool insert_entries(const write_plan &plan, Relation table, ItemPointer tid, const Datum *values,
                    const bool *nulls, open_table *kept) {
    for (int i = 0; i < plan.index_count; i++)
        if (has_entry(plan.indexes[i], nulls) &&
            !insert_entry(table, tid, values, nulls, plan.indexes[i], kept))
            return false;
    return true;
}

HeapTuple form_row(Relation table, const Datum *values, const bool *nulls) {
    HeapTuple row = heap_form_tuple(RelationGetDescr(table), const_cast<Datum *>(values),
                                    const_cast<bool *>(nulls));
    row->t_tableOid = RelationGetRelid(table);
    return row;
}

// What a change of the version at tid would come to. TM_Ok: nobody else is changing it, and it is
// the row's newest.
TM_Result judge_change(Relation table, ItemPointer tid) {
    Buffer buffer = ReadBuffer(table, ItemPointerGetBlockNumber(tid));
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(buffer);
    OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
    TM_Result result = TM_Deleted;
    if (offset <= PageGetMaxOffsetNumber(page)) {
        ItemId item = PageGetItemId(page, offset);
        if (ItemIdIsNormal(item)) {
            HeapTupleData row;
            row.t_data = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
            row.t_len = ItemIdGetLength(item);
            row.t_tableOid = RelationGetRelid(table);
            row.t_self = *tid;
            result = HeapTupleSatisfiesUpdate(&row, GetCurrentCommandId(false), buffer);
        }
    }
    UnlockReleaseBuffer(buffer);
    return result;
}

bool may_change_now(Relation table, ItemPointer tid) {
    if (!lock_tuple_at_once(table, tid))
        return false;
    if (judge_change(table, tid) == TM_Ok)
        return true;
    UnlockTuple(table, tid, ExclusiveLock);
    return false;
}

// Runs a change that waits, if told to, for whoever has the version at tid.
template <typename Change>
void run_change(Relation table, ItemPointer tid, bool wait, Change change) {
    if (wait && judge_change(table, tid) == TM_BeingModified)
        while_waiting(awaited::stripe, change);
    else
        change();
}

} // namespace

bool is_still_speculative(Relation table, ItemPointerData tid) {
    Buffer buffer = ReadBuffer(table, ItemPointerGetBlockNumber(&tid));
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(buffer);
    ItemId item = PageGetItemId(page, ItemPointerGetOffsetNumber(&tid));
    bool is_untouched = false;
    if (ItemIdIsNormal(item)) {
        HeapTupleHeader row = reinterpret_cast<HeapTupleHeader>(PageGetItem(page, item));
        is_untouched = HeapTupleHeaderIsSpeculative(row) &&
                       (row->t_infomask & HEAP_XMAX_INVALID) != 0 &&
                       HeapTupleHeaderGetRawXmin(row) == GetCurrentTransactionId();
    }
    UnlockReleaseBuffer(buffer);
    return is_untouched;
}

bool insert_plainly(const write_plan &plan, const Datum *values, const bool *nulls,
                    open_table *kept) {
    Assert(plan.inserts_plainly);
    Relation table = open_locked_table(kept, plan.table);
    Assert(CheckRelationLockedByMe(table, RowExclusiveLock, true));
    Assert(RelationGetDescr(table)->natts == plan.column_count);
    HeapTuple row = form_row(table, values, nulls);
    TransactionId self = GetCurrentTransactionId();
    uint32 token = acquire_token(kept, self);
    HeapTupleHeaderSetSpeculativeToken(row->t_data, token);
    heap_insert(table, row, GetCurrentCommandId(true), HEAP_INSERT_SPECULATIVE, nullptr);
    bool is_unique = insert_entries(plan, table, &row->t_self, values, nulls, kept);
    if (is_unique)
        heap_finish_speculative(table, &row->t_self);
    else
        heap_abort_speculative(table, &row->t_self);
    release_token(kept, self, is_unique);
    heap_freetuple(row);
    close_table(kept, table);
    return is_unique;
}

bool update_plainly(const write_plan &plan, Relation table, ItemPointerData &tid,
                    const Datum *values, const bool *nulls, bool wait) {
    Assert(plan.changes_plainly);
    Assert(CheckRelationLockedByMe(table, RowExclusiveLock, true));
    Assert(RelationGetDescr(table)->natts == plan.column_count);
    if (!wait && !may_change_now(table, &tid))
        return false;
    HeapTuple row = form_row(table, values, nulls);
    bool needs_index_entries;
    bool changed;
    run_change(table, &tid, wait,
               [&] { changed = update_heap_row(table, &tid, row, needs_index_entries) == TM_Ok; });
    if (!wait)
        UnlockTuple(table, &tid, ExclusiveLock);
    if (changed && needs_index_entries)
        insert_entries(plan, table, &row->t_self, values, nulls, nullptr);
    if (changed)
        tid = row->t_self;
    heap_freetuple(row);
    return changed;
}

bool delete_plainly(const write_plan &plan, Relation table, ItemPointerData tid, bool wait) {
    Assert(plan.changes_plainly);
    Assert(CheckRelationLockedByMe(table, RowExclusiveLock, true));
    if (!wait && !may_change_now(table, &tid))
        return false;
    TM_FailureData failure;
    bool deleted;
    run_change(table, &tid, wait, [&] {
        deleted = table_tuple_delete(table, &tid, GetCurrentCommandId(true), InvalidSnapshot,
                                     InvalidSnapshot, true, &failure, false) == TM_Ok;
    });
    if (!wait)
        UnlockTuple(table, &tid, ExclusiveLock);
    return deleted;
}

} // namespace coupon_guard
