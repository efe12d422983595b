// Where the extension's own objects are: the tables, their columns, indexes and sequences.
//
// Found through the schema of the function that was called, never through search_path. Kept per
// backend and found anew after any change to one of the tables, so that a table that was altered
// under us is an error, never a misread tuple.
#pragma once

#include "pg/backend.hpp"
#include "status.hpp"

namespace coupon_guard {

struct coupon_columns {
    AttrNumber id, code, code_key, active, starts_at, expires_at, max_redemptions, max_per_user,
        terms;
};

struct ledger_columns {
    AttrNumber id, coupon_id, user_id, use_no, redeemed_at, hold_expires_at, voided_at, void_reason,
        request_id, metadata;
};

struct quota_columns {
    AttrNumber coupon_id, stripe, remaining;
};

struct schema {
    Oid function; // the SQL function through which it was found
    Oid namespace_id;

    Oid coupon_table;
    Oid coupon_key_index; // unique (code_key)
    Oid coupon_id_index;  // unique (id)
    coupon_columns coupon;
    bool announces_changes; // the triggers that coupon_cache.cpp relies on are in force

    Oid ledger_table;
    Oid ledger_id_index;      // unique (id)
    Oid ledger_use_index;     // unique (coupon_id, user_id, use_no) where not voided: the arbiter
    Oid ledger_request_index; // unique (user_id, request_id)
    Oid ledger_hold_index;    // (coupon_id, hold_expires_at) of the holds
    Oid ledger_voided_index;  // (coupon_id) of what was voided
    Oid ledger_id_sequence;
    ledger_columns ledger;
    Oid ledger_trigger;   // our own trigger function on the ledger, for changes by plain SQL
    bool is_plain_ledger; // as the extension made it: no column, index, constraint or trigger more

    Oid quota_table;
    Oid quota_index; // unique (coupon_id, stripe)
    Oid usage_view;
    quota_columns quota;

    Oid status_type;
    Oid status_values[status_count]; // enum values, by status
    Oid redeem_answer_type;
    Oid hold_answer_type;
    Oid check_answer_type;
};
static_assert(std::is_trivially_copyable_v<schema>);

// The schema of function, with the ledger locked in ledger_lock mode until the end of the
// transaction. Whoever must wait for the redemptions in flight takes a stronger lock on the
// ledger; what is read of a coupon once the ledger is locked cannot change in such a way.
// All changes committed before the call are known after it, whatever is cached.
// A copy, as any later backend call may find the schema changed.
// Errors: 42P01, 42703 or 55000 if the tables are not as the extension made them.
schema lock_schema(Oid function, LOCKMODE ledger_lock);

// Registers the invalidation callback; called once, when the library is loaded.
void watch_schema();

// News of changes, for what backends keep in mind: sent to every backend of the database, this one
// too, at once and not with the commit. Whoever calls AcceptInvalidationMessages() has then heard
// of all that was announced before.

// Announces that rows of the coupon table have been changed by this transaction. To be called after
// the change and before its commit.
void announce_coupon_change(const schema &objects);

// Grows with every change to the coupon table that this backend has heard of.
uint64 coupon_changes_heard();

// The same for units that this transaction has given back to a quota, or a deadline that it has
// given to a hold.
void announce_unit_return(const schema &objects);
uint64 unit_returns_heard();

// What a B-tree index must be to serve a purpose of ours.
struct index_shape {
    bool is_unique;
    AttrNumber columns[3];
    int column_count;
    AttrNumber null_column;     // predicate: this column is null; 0: no such condition
    AttrNumber not_null_column; // predicate: this column is not null; 0: no such condition
};

// Whether index is valid for inserts, checked at once, and of this shape.
bool has_shape(Relation index, const index_shape &shape);

// The shapes that arbitrate when a redemption is written.
index_shape use_index_shape(const ledger_columns &ledger);
index_shape request_index_shape(const ledger_columns &ledger);

} // namespace coupon_guard
