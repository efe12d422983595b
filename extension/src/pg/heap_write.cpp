#include "pg/heap_write.hpp"

namespace coupon_guard {

bool insert_plain_entry(Relation table, ItemPointer tid, const Datum *values,
                        const index_entry &entry) {
    static IndexInfo unused_by_btree = {T_IndexInfo};
    Datum key[lengthof(entry.columns)];
    bool nulls[lengthof(entry.columns)] = {}; // what is null has no entry
    for (int i = 0; i < entry.column_count; i++)
        key[i] = values[entry.columns[i] - 1];
    Relation index = index_open(entry.index, RowExclusiveLock);
    IndexUniqueCheck check = !index->rd_index->indisunique ? UNIQUE_CHECK_NO
                             : entry.arbitrates            ? UNIQUE_CHECK_PARTIAL
                                                           : UNIQUE_CHECK_YES;
    bool is_unique = index_insert(index, key, nulls, tid, table, check, false, &unused_by_btree);
    index_close(index, NoLock);
    return is_unique || check != UNIQUE_CHECK_PARTIAL;
}

bool insert_plain_row(Oid table_oid, const Datum *values, const bool *nulls,
                      const index_entry *entries, int entry_count) {
    Relation table = table_open(table_oid, NoLock);
    HeapTuple row = heap_form_tuple(RelationGetDescr(table), const_cast<Datum *>(values),
                                    const_cast<bool *>(nulls));
    row->t_tableOid = table_oid;
    TransactionId self = GetCurrentTransactionId();
    uint32 token = SpeculativeInsertionLockAcquire(self);
    HeapTupleHeaderSetSpeculativeToken(row->t_data, token);
    heap_insert(table, row, GetCurrentCommandId(true), HEAP_INSERT_SPECULATIVE, nullptr);

    bool is_unique = true;
    for (int i = 0; i < entry_count && is_unique; i++)
        is_unique = insert_plain_entry(table, &row->t_self, values, entries[i]);
    if (is_unique)
        heap_finish_speculative(table, &row->t_self);
    else
        heap_abort_speculative(table, &row->t_self);
    SpeculativeInsertionLockRelease(self);
    heap_freetuple(row);
    table_close(table, NoLock);
    return is_unique;
}

} // namespace coupon_guard
