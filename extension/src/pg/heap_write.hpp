// Writing rows of a table that needs nothing of the executor: no trigger, no constraint but NOT
// NULL, no default, only B-tree indexes that the caller names. The hot path's way to write.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

// The entry that a new row gets in an index.
struct index_entry {
    Oid index;
    AttrNumber columns[3]; // columns of the table that the index has, in its order
    int column_count;
    bool arbitrates; // a row of the same key: give up; else an error (23505)
};

// Inserts a row into table, which the caller has locked in ROW EXCLUSIVE mode, past the executor
// (see write.cpp for what speculative insertion is and why it cannot livelock). It is visible to
// the transaction's next command once the caller has called CommandCounterIncrement(). False, with
// nothing written, if an arbiter holds the key already, committed or not.
bool insert_plain_row(Oid table, const Datum *values, const bool *nulls, const index_entry *entries,
                      int entry_count);

// The entry of a row at tid, with these values, in one index. False if the entry arbitrates and
// finds a row of the same key.
bool insert_plain_entry(Relation table, ItemPointer tid, const Datum *values,
                        const index_entry &entry);

} // namespace coupon_guard
