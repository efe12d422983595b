// What a table of ours must be, and the proof that it is: kind, columns, indexes, triggers.
//
// The extension reads and writes rows without the planner, so a table that is not what the code
// takes it for would be misread. Each proof is made on a relation that is locked, and errors say
// what is different (55000).
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

// Opens an ordinary heap table, which the caller has locked. Errors: 55000 if it is another kind of
// relation, a partition, or has tables that inherit from it.
Relation open_ordinary_table(Oid oid);

// Errors: 55000, with this detail.
[[noreturn]] void report_altered_table(Relation table, const char *detail);

// What a column must be. A column of text has the collation that the extension gave it.
struct column_shape {
    const char *name;
    Oid type;
    bool is_c_collated;
    char generated; // as in pg_attribute.attgenerated
};

// The number of the column. Errors: 42703; 55000 if it is of another make.
AttrNumber find_column(Relation table, const column_shape &shape);

// A predicate that asks of at most one column whether it is null, and of two whether they are not.
struct null_tests {
    AttrNumber null_column;         // 0: no such condition
    AttrNumber not_null_columns[2]; // in the order of the table's columns
};

void sort(null_tests &tests);

// Reads a predicate, given as a flat list of clauses. False if it is none of these.
bool read_null_tests(List *clauses, null_tests &tests);

// What a B-tree index must be to serve a purpose of ours. It has no included columns, and no order,
// collation or operator class but the column's default.
struct index_shape {
    bool is_unique;
    AttrNumber columns[3];
    int column_count;
    null_tests tests;
};

// Whether the index, checked at once and written to by every insert, is of this shape.
bool has_shape(Relation table, Relation index, const index_shape &shape);

// A valid index of this shape. Errors: 55000 if there is none.
Oid find_index(Relation table, const index_shape &shape);

// The trigger function in C; InvalidOid if there is none as the extension made it.
Oid find_trigger_function(Oid namespace_id, const char *name);

// Whether one trigger of this type (pg_trigger.tgtype), and no other for these events, calls the
// function, for every row, and fires for the origin of changes and for replicas of them (ENABLE
// ALWAYS).
bool is_in_force(Relation table, Oid function, int16 type);

// A number that differs whenever triggers of the table that call the function were made, dropped,
// or switched on or off in between.
uint32 trigger_state(Relation table, Oid function);

// Whether the expression is COLUMN OPERATOR 0, the operator being carried out by this function.
bool compares_with_zero(Node *expression, AttrNumber column, Oid function);
// Whether it is FUNCTION(COLUMN).
bool applies_to_column(Node *expression, AttrNumber column, Oid function);

} // namespace coupon_guard
