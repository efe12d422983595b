// Writing rows of a table past the planner, yet as INSERT ... ON CONFLICT DO NOTHING and UPDATE
// would: defaults, generated columns, constraints, row and statement triggers and all indexes do
// their part. Privileges and row security are not looked at.
#pragma once

#include "catalog.hpp"

namespace coupon_guard {

struct column_value {
    AttrNumber column;
    Datum value;
    bool is_null;
    bool is_fixed; // a BEFORE trigger that changes it raises an error
};

struct write_target {
    Oid table;                   // locked by the caller in ROW EXCLUSIVE mode
    Oid own_trigger;             // trigger function that is not to be called; may be invalid
    const index_shape *arbiters; // the unique indexes that arbitrate
    int arbiter_count;
};

// Inserts a row, other columns getting their defaults, and makes it visible to the transaction's
// next command. False, with nothing written, if an arbiter holds the key already, committed or
// not: the caller looks again and decides.
// Errors: whatever constraints and triggers raise; 27000 if a trigger changes a fixed column,
// 09000 if a trigger suppresses the row.
bool insert_row(const write_target &target, const column_value *values, int count);

// (Known gap: transition tables of statement triggers on UPDATE see no rows, for
// ExecSimpleRelationUpdate() captures none.)
// Changes columns of a row that the caller has locked, see lock_row(), and makes the change visible
// to the transaction's next command. Errors: as for insert_row().
void update_row(const write_target &target, TupleTableSlot *locked, const column_value *values,
                int count);

enum class row_lock : unsigned char {
    locked,  // row holds the version that is locked
    changed, // it has another version now, or is gone
    busy,    // a transaction in progress has it (only if not told to wait)
    own,     // the command that is running has changed it itself
};

// Locks the row at tid of the table, against changes unless told otherwise, if that is still its
// newest version.
row_lock lock_row(Relation table, ItemPointer tid, TupleTableSlot *row, LockWaitPolicy wait,
                  LockTupleMode mode = LockTupleNoKeyExclusive);

} // namespace coupon_guard
