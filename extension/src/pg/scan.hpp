// Index scans: one way to open, read and close them.
//
// An error in between is cleaned up by the transaction's abort, as always in the server; so these
// are plain structs without destructors.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

struct index_scan {
    Relation table;
    Relation index;
    IndexScanDesc scan;
    TupleTableSlot *row; // the row at hand, after next_row() said true
};

// Rows of table for which the first count columns of its B-tree index equal keys, see equals().
// Takes ACCESS SHARE on both, kept to the end of the transaction. The keys must live until
// end_scan().
index_scan begin_scan(Oid table, Oid index, Snapshot snapshot, ScanKeyData *keys, int count);
bool next_row(index_scan &scan, ScanDirection direction = ForwardScanDirection);
void end_scan(index_scan &scan);

// Scan keys on the index's column (from 1): bigint, or text compared by the collation "C".
ScanKeyData equals_bigint(AttrNumber index_column, int64 value);
ScanKeyData equals_text(AttrNumber index_column, Datum value);

// The value of a column of the row at hand, where the column is NOT NULL, or with a default.
Datum column_of(const index_scan &scan, AttrNumber column);
Datum column_or(const index_scan &scan, AttrNumber column, Datum if_null);

// Under SERIALIZABLE: makes the transaction depend on the row at hand, which it acts upon though
// it was read by no snapshot of the transaction.
// Errors: 40001 if the transaction's snapshot does not show the row, for then no serial order
// explains both what the caller has read and what the guard answers.
void depend_on_row(const index_scan &scan);

} // namespace coupon_guard
