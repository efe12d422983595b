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
    AttrNumber id, code_key, active, starts_at, expires_at, max_per_user, terms;
};

struct ledger_columns {
    AttrNumber id, coupon_id, user_id, use_no, redeemed_at, metadata;
};

struct schema {
    Oid namespace_id;
    Oid coupon_table;
    Oid coupon_key_index; // unique (code_key)
    coupon_columns coupon;
    Oid ledger_table;
    Oid ledger_use_index; // unique (coupon_id, user_id, use_no): the arbiter
    Oid ledger_id_sequence;
    ledger_columns ledger;
    Oid status_type;
    Oid status_values[status_count]; // enum values, by status
};
static_assert(std::is_trivially_copyable_v<schema>);

// The schema of function, with the ledger locked in ledger_lock mode and the coupons in ACCESS
// SHARE until the end of the transaction. The ledger is locked first: what is read of a coupon
// afterwards cannot change in a way that must wait for the ledger (concurrency contract).
// A copy, as any later backend call may find the schema changed.
// Errors: 42P01, 42703 or 55000 if the tables are not as the extension made them.
schema lock_schema(Oid function, LOCKMODE ledger_lock);

// Whether index is unique, checked at once, and on just these columns of its table.
bool is_unique_index_on(Relation index, const AttrNumber *columns, int count);

// Registers the invalidation callback; called once, when the library is loaded.
void watch_schema();

} // namespace coupon_guard
