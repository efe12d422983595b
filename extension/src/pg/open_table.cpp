#include "pg/open_table.hpp"

namespace coupon_guard {

open_index *find_kept(open_table *kept, Oid index) {
    for (int i = 0; kept != nullptr && i < kept->index_count; i++)
        if (RelationGetRelid(kept->indexes[i].index) == index)
            return &kept->indexes[i];
    return nullptr;
}

Relation open_kept_table(open_table &kept, Oid table) {
    if (kept.table == nullptr)
        kept.table = table_open(table, NoLock);
    if (RelationGetRelid(kept.table) == table)
        return kept.table;
    return table_open(table, NoLock);
}

Relation open_kept_index(open_table &kept, Oid index, LOCKMODE lock) {
    const open_index *found = find_kept(&kept, index);
    if (found != nullptr) {
        Assert(CheckRelationLockedByMe(found->index, lock, true));
        return found->index;
    }
    Relation opened = lock_and_open_index(index, lock);
    if (kept.index_count < most_plain_indexes)
        kept.indexes[kept.index_count++] = {opened, nullptr, nullptr};
    return opened;
}

uint32 acquire_kept_token(open_table &kept, TransactionId writer) {
    Assert(kept.token == 0 || kept.writer == writer);
    if (kept.token == 0) {
        kept.writer = writer;
        kept.token = SpeculativeInsertionLockAcquire(writer);
    }
    return kept.token;
}

// Not SpeculativeInsertionLockRelease(): a trigger may have made the server's last token another.
void release_kept_token(open_table &kept) {
    LOCKTAG lock;
    SET_LOCKTAG_SPECULATIVE_INSERTION(lock, kept.writer, kept.token);
    LockRelease(&lock, ExclusiveLock, false);
    kept.token = 0;
}

void close_all(open_table &kept) {
    if (kept.token != 0)
        release_kept_token(kept);
    for (int i = 0; i < kept.index_count; i++) {
        open_index &each = kept.indexes[i];
        if (each.scan != nullptr) {
            index_endscan(each.scan);
            ExecDropSingleTupleTableSlot(each.row);
        }
        index_close(each.index, NoLock);
    }
    if (kept.table != nullptr)
        table_close(kept.table, NoLock);
}

} // namespace coupon_guard
