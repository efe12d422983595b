// Where the extension's own objects are, and the proof that they are as it made them: tables,
// columns, indexes, triggers, types.
//
// Found through the schema of the function that was called, never through search_path. Nobody keeps
// a copy: whoever needs a table's layout asks catalog_of(), which proves it anew after any change
// to one of the tables that the backend has heard of. A change that matters needs a lock which
// conflicts with the one that is taken before a table is used; so what is read under the lock is
// what is there.
#pragma once

#include "catalog/status.hpp"
#include "pg/open_table.hpp"

namespace coupon_guard {

struct code_pattern;

struct coupon_columns {
    AttrNumber id, code, code_key, active, starts_at, expires_at, max_redemptions, max_per_user,
        stripes, terms;
    AttrNumber holder, budget, campaign_id; // 0 in objects of 0.1.0
    AttrNumber rights, budget_rights;       // 0 in objects before 0.3.0
};

struct campaign_columns {
    AttrNumber id, name, name_key, active, starts_at, expires_at, max_redemptions, max_per_user,
        budget, terms;
    AttrNumber rights, budget_rights; // 0 in objects before 0.3.0
};

struct ledger_columns {
    AttrNumber id, coupon_id, user_id, use_no, redeemed_at, hold_expires_at, voided_at, void_reason,
        request_id, metadata;
    AttrNumber amount, campaign_id, campaign_use_no; // 0 in objects of 0.1.0
};

struct quota_columns {
    AttrNumber owner_id, kind, stripe, generation, remaining;
};

struct transfer_columns {
    AttrNumber transfer_id, direction, kind, owner_id, units, transfer_no, peer, made_at,
        settled_at;
};

struct shard_columns {
    AttrNumber number, name;
};

// What has a limit: a coupon, or the campaign that it belongs to.
enum class limit_owner : unsigned char { none, coupon, campaign };

// Of a quota that is never valid.
inline constexpr int32 void_generation = 0;

struct catalog {
    Oid namespace_id;

    Oid coupon_table;
    Oid coupon_key_index;    // unique (code_key)
    Oid coupon_id_index;     // unique (id)
    Oid coupon_holder_index; // unique (campaign_id, holder) where there is a campaign: the arbiter
                             // of claims. This and the next: none in objects of 0.1.0
    Oid coupon_free_index;   // (campaign_id, id) of the codes that nobody holds
    coupon_columns coupon;
    const code_pattern *checked_patterns; // see code_patterns.hpp
    int checked_pattern_count;

    Oid campaign_table;      // this and its indexes: none in objects of 0.1.0
    Oid campaign_name_index; // unique (name_key)
    Oid campaign_id_index;   // unique (id)
    campaign_columns campaign;

    Oid ledger_table;
    Oid ledger_id_index;      // unique (id)
    Oid ledger_use_index;     // unique (coupon_id, user_id, use_no) where not voided: the arbiter
    Oid ledger_request_index; // unique (user_id, request_id) where there is a request id
    Oid ledger_hold_index;    // (coupon_id, hold_expires_at) of the holds
    Oid ledger_voided_index;  // (coupon_id) of what was voided
    // The same of campaigns, where there is one; none in objects of 0.1.0.
    Oid ledger_campaign_use_index; // unique (campaign_id, user_id, campaign_use_no): arbitrates,
                                   // too
    Oid ledger_campaign_hold_index;
    Oid ledger_campaign_voided_index;
    Oid ledger_id_sequence;
    ledger_columns ledger;
    write_plan ledger_plan;

    Oid quota_table;
    Oid quota_index; // unique (owner_id, kind, stripe)
    quota_columns quota;
    write_plan quota_plan;

    Oid transfer_table;       // this and its indexes, and the next: none in objects before 0.3.0
    Oid transfer_id_index;    // unique (transfer_id)
    Oid transfer_limit_index; // (owner_id, kind, transfer_no)
    Oid transfer_unsettled_index; // (owner_id, kind) of what is under way
    transfer_columns transfer;
    write_plan transfer_plan;

    Oid shard_table;
    shard_columns shard;

    // Whether all triggers are in force that follow what plain SQL and replication do to the
    // tables (but for those that only save waiting). Without them nothing is remembered of a
    // coupon, in tables or in memory: caps are kept by counting (claims.cpp).
    bool follows_changes;
    int32 generation; // of quotas: differs if the triggers were not in force for a while

    bool is_updated; // to 0.2.0 at least: else the objects are those of 0.1.0
    bool has_rights; // the objects are those of 0.3.0
    Oid status_type;
    Oid status_values[status_count]; // enum values, by status
    Oid returns_relation;            // in whose name it is said that units came back
    Oid changes_relation; // that coupons or campaigns changed: in objects of 0.1.0 the coupon table
};
static_assert(std::is_trivially_copyable_v<catalog>);

// The extension as it is installed in one schema.
struct installation {
    Oid function; // the SQL function through which it was found
    Oid namespace_id;
    Oid result_type;    // of the function
    open_table *ledger; // the ledger, kept open between many calls; null: opened for each
};

// The installation that the function belongs to, with the ledger locked in this mode until the end
// of the transaction. Whoever must wait for the redemptions in flight takes a stronger lock on the
// ledger; what is read of a coupon once the ledger is locked cannot change in such a way.
// Errors: 42P01, 42703 or 55000 if the tables are not as the extension made them.
installation open_guard(Oid function, LOCKMODE ledger_lock);

// Whether nothing has been heard since that makes another of what was opened. The ledger is kept
// open in guard.ledger.
bool is_still_open(const installation &guard);

// The catalog as it is now. The reference is good until the next call of a backend function that
// may wait, or run a trigger. Errors: as for open_guard().
const catalog &catalog_of(const installation &guard);

// Locks a table of the catalog until the end of the transaction; to be called before it is used.
// Errors: as for open_guard().
const catalog &lock_table(const installation &guard, Oid catalog::*table, LOCKMODE mode);

// Registers the invalidation callbacks; called once, when the library is loaded.
void register_catalog_callbacks();

} // namespace coupon_guard
