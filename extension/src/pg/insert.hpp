// Writing a row of a table past the executor, yet as INSERT ... ON CONFLICT DO NOTHING would.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

struct column_value {
    AttrNumber column;
    Datum value;
    bool is_null;
    bool is_fixed; // a BEFORE trigger that changes it raises an error
};

struct row_to_insert {
    const column_value *values; // every other column gets its default
    int value_count;
    const AttrNumber *arbiter; // the columns of the unique index that arbitrates
    int arbiter_count;
};

// Inserts the row into table, which the caller has locked in ROW EXCLUSIVE mode, and makes it
// visible to the transaction's next command. Defaults, generated columns, constraints, triggers
// (row and statement) and all indexes do as in an INSERT; privileges and row security are not
// looked at. False, with nothing written, if the arbiter index holds the key already, committed
// or not: the caller looks again and decides.
// Errors: whatever constraints and triggers raise; 27000 if a trigger changes a fixed column,
// 09000 if a trigger suppresses the row.
bool insert_row(Oid table, const row_to_insert &row);

} // namespace coupon_guard
