// How rows of a table of ours are to be written: the short way, past the executor, as long as
// nothing about the table needs the executor.
#pragma once

#include "pg/layout.hpp"

namespace coupon_guard {

// Beyond these a table is written through the executor.
inline constexpr int most_plain_columns = 64;
inline constexpr int most_plain_indexes = 16;

// A B-tree index on columns alone.
struct plain_index {
    Oid index;
    bool is_unique;
    bool arbitrates; // a row of the same key: give up; else an error (23505)
    null_tests tests;
    int column_count;
    AttrNumber columns[INDEX_MAX_KEYS];
};

struct write_plan {
    Oid table;
    Oid own_trigger;      // trigger function that the guard's own writes do not call
    bool inserts_plainly; // rows may be inserted past the executor
    // Rows may be updated and deleted past the executor. (What publications make of them is not
    // looked at: the one table that is changed so is not replicated, see follow_quota.cpp.)
    bool changes_plainly;
    bool checks_are_known; // the table has no CHECK but such as the guard's rows satisfy
    int column_count;
    // All ready indexes, arbiters first, if they are plain. While REINDEX CONCURRENTLY runs there
    // are two of the same shape.
    int index_count;
    plain_index indexes[most_plain_indexes];
    int arbiter_count;
    Oid arbiters[most_plain_indexes];
};
static_assert(std::is_trivially_copyable_v<write_plan>);

// A CHECK constraint that the guard's own rows satisfy: COLUMN OPERATOR 0, or FUNCTION(COLUMN).
struct known_check {
    AttrNumber column;
    Oid function;
    bool with_zero;
};

// What the extension's own writes bring along.
struct write_rules {
    Oid own_trigger;
    const AttrNumber *columns; // every write gives these
    int never_null_count;      // the first of them, that many, are never null
    int column_count;
    const index_shape *arbiters; // in the order in which they arbitrate
    int arbiter_count;
    const known_check *checks;
    int check_count;
};

// That rows are changed through the executor, and all triggers called, the extension's own too.
inline write_plan through_executor(Relation table) {
    write_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.table = RelationGetRelid(table);
    return plan;
}

// Reads from the table, which the caller has locked, how it is to be written.
void make_write_plan(Relation table, const write_rules &rules, write_plan &plan);

} // namespace coupon_guard
