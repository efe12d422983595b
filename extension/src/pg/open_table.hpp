// A table of ours, its indexes and scans of them, kept open while one call of ours redeems many
// times: as the executor keeps open what a statement writes to. To open them for each row costs
// more than its heap row does.
//
// What is kept is found by its OID, and an open relation is changed in place by what the backend
// hears of it. So where the catalog names another index by now, that one is opened too. The locks
// are those that each call would take, and are kept to the end of the transaction anyhow.
//
// Speculative insertions of such a call have one token (write.cpp says what it is for). A rival who
// meets a row before it is confirmed waits for the token, so until the call ends; and would wait
// for the transaction's end if it came a moment later. A row that is killed is waited for no longer
// than without: the token is released then, and the next row has another.
#pragma once

#include "pg/wait.hpp"
#include "pg/write_plan.hpp"

namespace coupon_guard {

struct open_index {
    Relation index;
    // By a dirty snapshot, at rest: it has met no entry, so it pins nothing and points to no memory
    // but that of the table. Null: none.
    IndexScanDesc scan;
    TupleTableSlot *row; // of the scan
};

// Lives in the function that makes the calls, in one resource owner. An error on the way is cleaned
// up by the abort.
struct open_table {
    MemoryContext memory;
    Relation table; // null: none as yet
    int index_count;
    open_index indexes[most_plain_indexes];
    TransactionId writer; // who has the lock of the token
    uint32 token;         // 0: none
};
static_assert(std::is_trivially_destructible_v<open_table>);

// What is kept is allocated in the caller's memory context.
inline open_table keep_open() {
    open_table kept = {};
    kept.memory = CurrentMemoryContext;
    return kept;
}
void close_all(open_table &kept);

// In the following kept may be null, or may not have it, or may have no room: then the relation is
// opened for this time only.

// Where the index is kept; null if it is not.
open_index *find_kept(open_table *kept, Oid index);

Relation open_kept_table(open_table &kept, Oid table);
Relation open_kept_index(open_table &kept, Oid index, LOCKMODE lock);

// A table that the caller has locked.
inline Relation open_locked_table(open_table *kept, Oid table) {
    return kept == nullptr ? table_open(table, NoLock) : open_kept_table(*kept, table);
}
inline void close_table(open_table *kept, Relation table) {
    if (kept == nullptr || table != kept->table)
        table_close(table, NoLock);
}

// An index, with a lock that is kept to the end of the transaction.
inline Relation open_index_with(open_table *kept, Oid index, LOCKMODE lock) {
    return kept == nullptr ? lock_and_open_index(index, lock) : open_kept_index(*kept, index, lock);
}
inline void close_index(open_table *kept, Relation index) {
    if (kept == nullptr || find_kept(kept, RelationGetRelid(index)) == nullptr)
        index_close(index, NoLock);
}

uint32 acquire_kept_token(open_table &kept, TransactionId writer);
void release_kept_token(open_table &kept);

// The token of a speculative insertion by this transaction, whose lock is held until it is
// released, or as long as the table is kept open.
inline uint32 acquire_token(open_table *kept, TransactionId writer) {
    return kept == nullptr ? SpeculativeInsertionLockAcquire(writer)
                           : acquire_kept_token(*kept, writer);
}
// To be called when the row has been confirmed, or killed.
inline void release_token(open_table *kept, TransactionId writer, bool is_confirmed) {
    if (kept == nullptr)
        SpeculativeInsertionLockRelease(writer);
    else if (!is_confirmed)
        release_kept_token(*kept);
}

} // namespace coupon_guard
