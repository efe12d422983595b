// Scans of tables by an index, and of whole tables: one way to open, read and close them.
//
// An error in between is cleaned up by the transaction's abort, as always in the server; so these
// are plain structs without destructors.
#pragma once

#include "pg/open_table.hpp"
#include "pg/outcome.hpp"

namespace coupon_guard {

struct index_scan {
    Relation table;
    Relation index;
    IndexScanDesc scan;
    TupleTableSlot *row; // the row at hand, after next_row() said true
    Snapshot newest;     // null: a dirty snapshot, which is the caller's
    uint64 fingerprint;  // of the index entries met, whatever became of their rows
    int64 entries_left;  // that may be met; then there is no next row
    open_table *kept;    // what stays open after the scan; null: nothing
    awaited rivals_have; // what those are waited for that the scan meets
};

// Rows of table, which the caller has locked, for which columns of its B-tree index are as the
// keys say. Takes index_lock on the index, kept to the end of the transaction: ROW EXCLUSIVE if a
// write may follow, to lock once only. The keys must live until end_scan().

// In the newest committed state (and what the transaction itself did), whatever snapshot the
// caller's statement uses; all rows as of one moment, after the lock was granted.
index_scan begin_scan(Oid table, Oid index, ScanKeyData *keys, int count,
                      LOCKMODE index_lock = AccessShareLock);
// Rows in progress included. Each row is judged by itself: one that is being updated may be missed
// if the update commits just then. dirty is initialised here, and must live as long as the keys.
index_scan begin_dirty_scan(Oid table, Oid index, SnapshotData &dirty, ScanKeyData *keys, int count,
                            LOCKMODE index_lock = RowExclusiveLock, open_table *kept = nullptr);
// All versions of such rows, whatever became of them.
index_scan begin_version_scan(Oid table, Oid index, ScanKeyData *keys, int count);

// The value that a column of type bigint has in the first entry of the index, or (backwards) the
// last, for which columns are as the keys say; whatever became of its row. False if there is none.
bool find_outermost(Oid table, Oid index, ScanKeyData *keys, int count, ScanDirection direction,
                    AttrNumber index_column, int64 &value);

// Begins the scan anew, with the same keys.
void restart_scan(index_scan &scan, ScanKeyData *keys, int count);
bool next_row(index_scan &scan, ScanDirection direction = ForwardScanDirection);
void end_scan(index_scan &scan);

// All rows of a table, which the caller has locked, in the newest committed state.
struct table_scan {
    Snapshot newest;
    TableScanDesc scan;
    TupleTableSlot *row; // at hand, after next_row() said true
};
table_scan begin_table_scan(Relation table);
bool next_row(table_scan &scan);
void end_scan(table_scan &scan);

// Scan keys on the index's column (from 1): bigint, integer, "char", uuid, timestamptz, text of
// collation "C".
ScanKeyData equals_bigint(AttrNumber index_column, int64 value);
ScanKeyData equals_text(AttrNumber index_column, Datum value);
ScanKeyData is_at_most(AttrNumber index_column, TimestampTz value);
ScanKeyData is_at_least_bigint(AttrNumber index_column, int64 value);
ScanKeyData is_at_most_bigint(AttrNumber index_column, int64 value);
ScanKeyData equals_integer(AttrNumber index_column, int32 value);
ScanKeyData equals_char(AttrNumber index_column, char value);
ScanKeyData equals_uuid(AttrNumber index_column, Datum value);

// Whether another transaction, still open, writes the row at hand, which a scan by a dirty
// snapshot (SnapshotDirty) has found; and which.
bool find_rival(const index_scan &scan, const SnapshotData &dirty, rival_transaction &found);

// What has become of a version, which a scan of all versions has found, since a moment from which
// on a snapshot has been kept.
enum class version_fate : unsigned char {
    gone,        // it was dead then, or has never been committed
    changed,     // it is dead, but was not yet then, or was in progress
    there,       // it is committed, and nobody is changing it
    in_progress, // a rival is writing or changing it
};
version_fate fate_of_version(const index_scan &scan, Snapshot since, rival_transaction &rival);

// Tells one state of a row from another: differs if it is another version, if a transaction has
// begun or ended changing it or locked it, or if such a one has been rolled back.
uint64 state_of_row(const index_scan &scan, const SnapshotData &dirty);

// A fingerprint of the state and of all that was combined before.
inline uint64 combine(uint64 fingerprint, uint64 state) {
    return (fingerprint ^ state) * UINT64CONST(0x9E3779B97F4A7C15) +
           (fingerprint >> 32); // order counts
}

// The value of a column of the row at hand, where the column is NOT NULL, or with a default.
Datum column_of(const index_scan &scan, AttrNumber column);
Datum column_or(const index_scan &scan, AttrNumber column, Datum if_null);
bool is_null(const index_scan &scan, AttrNumber column);

// Whether the row at hand, found by an MVCC snapshot, is committed and nobody is changing it.
bool is_settled(const index_scan &scan);

// Whether the version at hand was inserted (not as the next version of a row) by this transaction,
// and not rolled back; and by which command.
bool is_own_insert(const index_scan &scan, CommandId &command);

// Whether the row at hand is being deleted, not updated, by the rival that was found.
bool is_being_deleted(const index_scan &scan, const SnapshotData &dirty);

// Under SERIALIZABLE: makes the transaction depend on the row at hand, which it acts upon though
// it was read by no snapshot of the transaction.
// Errors: 40001 if the transaction's snapshot does not show the row, for then no serial order
// explains both what the caller has read and what the guard answers.
void depend_on_row(const index_scan &scan);
void depend_on_row(Relation table, TupleTableSlot *row);

} // namespace coupon_guard
