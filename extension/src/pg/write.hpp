// Writing rows of a table past the planner, yet as INSERT ... ON CONFLICT DO NOTHING, UPDATE and
// DELETE would: defaults, generated columns, constraints, row and statement triggers and all
// indexes do their part, the short way (heap_write.hpp) where nothing needs more. Privileges and
// row security are not looked at.
#pragma once

#include "pg/open_table.hpp"

namespace coupon_guard {

struct column_value {
    AttrNumber column;
    Datum value;
    bool is_null;
    bool is_fixed; // a BEFORE trigger that changes it raises an error
};

// The caller has locked the table in ROW EXCLUSIVE mode, and gives all columns that the rules of
// the plan name.

// Inserts a row, other columns getting their defaults, and makes it visible to the transaction's
// next command. False, with nothing written, if an arbiter holds the key already, committed or
// not: the caller looks again and decides. kept: where the table and its indexes are kept open.
// Errors: whatever constraints and triggers raise; 27000 if a trigger changes a fixed column,
// 09000 if a trigger suppresses the row.
bool insert_row(const write_plan &plan, const column_value *values, int count,
                open_table *kept = nullptr);

// The same for many rows of the same columns, as by one INSERT: statement triggers fire before the
// first and after the last, and so do AFTER triggers of all rows; until then the executor keeps
// what it needs, so at most some thousand. The memory context at hand must be that of begin_rows().
struct row_writer;
row_writer *begin_rows(const write_plan &plan);
bool add_row(row_writer *writer, const column_value *values, int count);
void end_rows(row_writer *writer);

// Changes columns of a row that the caller has locked, see lock_row(), or deletes it, and makes the
// change visible to the transaction's next command. Through the executor, always.
// Errors: as for insert_row().
void update_row(const write_plan &plan, TupleTableSlot *locked, const column_value *values,
                int count);
void delete_row(const write_plan &plan, TupleTableSlot *locked);

enum class row_lock : unsigned char {
    locked,  // row holds the version that is locked
    changed, // it has another version now, or is gone
    busy,    // a transaction in progress has it (only if not told to wait)
    own,     // the command that is running has changed it itself
};

// Locks the row at tid of the table, against changes unless told otherwise, if that is still its
// newest version. what says as what a wait is shown.
row_lock lock_row(Relation table, ItemPointer tid, TupleTableSlot *row, LockWaitPolicy wait,
                  LockTupleMode mode = LockTupleNoKeyExclusive, awaited what = awaited::lock);

} // namespace coupon_guard
