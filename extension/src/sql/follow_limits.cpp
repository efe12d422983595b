// The trigger functions on coupon and on campaign: what has redemptions stays, a coupon's campaign
// exists, quotas follow the limits, and backends are told of changes.

#include "catalog/invalidation.hpp"
#include "coupon/campaign.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/limit_use.hpp"
#include "pg/text_value.hpp"
#include "quota/quota_setup.hpp"
#include "quota/shares.hpp"
#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

// A table whose rows have limits.
struct limited_table {
    limit_owner owner;
    trigger_protocol protocol;
    const char *kind;   // of its rows, in messages
    const char *plural; // likewise
};

struct limit_columns {
    AttrNumber id, name, max_redemptions, budget;
    AttrNumber stripes, rights, budget_rights; // 0: it has none
};

limit_columns columns_of(const catalog &tables, limit_owner owner) {
    const coupon_columns &coupon = tables.coupon;
    const campaign_columns &campaign = tables.campaign;
    return owner == limit_owner::campaign
               ? limit_columns{campaign.id,
                               campaign.name,
                               campaign.max_redemptions,
                               campaign.budget,
                               0,
                               campaign.rights,
                               campaign.budget_rights}
               : limit_columns{coupon.id,      coupon.code,   coupon.max_redemptions, coupon.budget,
                               coupon.stripes, coupon.rights, coupon.budget_rights};
}

// A change of a row, or of all.
struct change {
    const installation &guard;
    const TriggerData &trigger;
    const limited_table &table;
    const limit_columns columns;
};

// ---- what has redemptions stays ---------------------------------------------------------------
//
// The SHARE ROW EXCLUSIVE lock on the ledger waits for every redemption in flight and keeps new
// ones out until this transaction ends. What is then in the ledger is all there is, but for what
// this transaction itself redeems before the row is gone: so the ledger is looked at afterwards.
// And whoever redeems later reads the row after this transaction's end, so finds it gone. The lock
// is taken before any such row is locked (BEFORE STATEMENT), for a first redemption takes them in
// this order too.

void lock_out_redemptions(const installation &guard) {
    if (!is_replica())
        lock_table(guard, &catalog::ledger_table, ShareRowExclusiveLock);
}

int64 id_of(const change &at, HeapTuple row) {
    return bigint_of(row, at.columns.id, at.trigger);
}

HeapTuple before_change(const change &at) {
    const TriggerData &trigger = at.trigger;
    int64 id = id_of(at, trigger.tg_trigtuple);
    note_own_change(at.table.owner, id);
    bool is_update = TRIGGER_FIRED_BY_UPDATE(trigger.tg_event);
    if (!is_update || id_of(at, trigger.tg_newtuple) != id)
        lock_out_redemptions(at.guard);
    return is_update ? trigger.tg_newtuple : trigger.tg_trigtuple;
}

void keep_redeemed(const change &at, int64 id) {
    if (!has_redemptions(at.guard, rows_of{at.table.owner, id}))
        return;
    bool is_null;
    Datum name = value_of(at.trigger.tg_trigtuple, at.columns.name, at.trigger, is_null);
    ereport(ERROR,
            (errcode(ERRCODE_RESTRICT_VIOLATION),
             errmsg(TRIGGER_FIRED_BY_DELETE(at.trigger.tg_event)
                        ? "%s \"%s\" has redemptions and cannot be deleted"
                        : "%s \"%s\" has redemptions and cannot change its ID",
                    at.table.kind, is_null ? "" : clip_for_message(name)),
             errdetail("Table \"coupon_redemption\" refers to it by ID " INT64_FORMAT ".", id),
             errhint("Set active = false to stop it from being redeemed.")));
}

void end_quotas_of(const change &at, int64 id) {
    end_quota(at.guard, cap_of(at.table.owner, id));
    end_quota(at.guard, budget_of(at.table.owner, id));
}

// ---- a coupon's campaign exists ----------------------------------------------------------------
//
// As a foreign key sees to it: whoever gives a coupon a campaign locks the campaign's row (KEY
// SHARE) until the end of the transaction, and whoever deletes the campaign looks for coupons once
// it has the row. It is no foreign key, for a parallel restore brings the rows of an extension's
// tables in any order: while there is no campaign at all, a coupon may name any.

// The campaign whose row is locked already, by this subtransaction.
struct locked_campaign {
    LocalTransactionId transaction;
    SubTransactionId owner;
    int64 id;
};
locked_campaign last_locked;

bool is_locked(int64 campaign_id) {
    return last_locked.transaction == transaction_number() && last_locked.id == campaign_id &&
           last_locked.owner == GetCurrentSubTransactionId();
}

void report_no_campaign(int64 campaign_id) {
    ereport(ERROR, (errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
                    errmsg("campaign " INT64_FORMAT " does not exist", campaign_id),
                    errdetail("Column \"campaign_id\" of a coupon names it."),
                    errhint("Create the campaign first, or leave campaign_id NULL.")));
}

void check_campaign_exists(const installation &guard, int64 campaign_id) {
    if (is_locked(campaign_id))
        return;
    if (lock_limited_row(guard, limit_owner::campaign, campaign_id, LockTupleKeyShare, true))
        last_locked = {transaction_number(), GetCurrentSubTransactionId(), campaign_id};
    else if (has_campaigns(guard))
        report_no_campaign(campaign_id);
}

// Of a coupon's row; false if it has none.
bool campaign_of(const change &at, HeapTuple row, int64 &campaign_id) {
    AttrNumber column = catalog_of(at.guard).coupon.campaign_id;
    bool has_none = column == 0;
    Datum value = has_none ? Datum{0} : value_of(row, column, at.trigger, has_none);
    campaign_id = has_none ? 0 : DatumGetInt64(value);
    return !has_none;
}

void follow_campaign(const change &at, HeapTuple before, HeapTuple after) {
    int64 old_id;
    int64 new_id;
    if (at.table.owner != limit_owner::coupon || is_replica() || !campaign_of(at, after, new_id))
        return;
    bool is_same = before != nullptr && campaign_of(at, before, old_id) && old_id == new_id;
    if (!is_same)
        check_campaign_exists(at.guard, new_id);
}

void keep_with_coupons(const change &at, int64 id) {
    if (at.table.owner != limit_owner::campaign || is_replica() || !has_coupons(at.guard, id))
        return;
    bool is_null;
    Datum name = value_of(at.trigger.tg_trigtuple, at.columns.name, at.trigger, is_null);
    ereport(ERROR, (errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
                    errmsg(TRIGGER_FIRED_BY_DELETE(at.trigger.tg_event)
                               ? "campaign \"%s\" has coupons and cannot be deleted"
                               : "campaign \"%s\" has coupons and cannot change its ID",
                           is_null ? "" : clip_for_message(name)),
                    errdetail("Table \"coupon\" refers to it by ID " INT64_FORMAT ".", id),
                    errhint("Set campaign_id of its coupons to NULL, or active = false.")));
}

// ---- the row goes -----------------------------------------------------------------------------

// The row has gone, under this id at least.
void after_loss(const change &at, int64 id) {
    if (!is_replica())
        keep_redeemed(at, id);
    keep_with_coupons(at, id);
    end_quotas_of(at, id);
}

void after_truncate(const installation &guard, const limited_table &table) {
    bool has_any = table.owner == limit_owner::campaign ? has_redemptions_of_campaigns(guard)
                                                        : has_redemptions(guard);
    if (!is_replica() && has_any)
        ereport(ERROR, (errcode(ERRCODE_RESTRICT_VIOLATION),
                        errmsg("%s have redemptions and cannot be truncated", table.plural),
                        errdetail("Table \"coupon_redemption\" is not empty."),
                        errhint("Truncate both tables in one command, or set active = false.")));
    if (!is_replica() && table.owner == limit_owner::campaign && has_coupons(guard))
        ereport(ERROR, (errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
                        errmsg("campaigns have coupons and cannot be truncated"),
                        errdetail("Table \"coupon\" refers to them."),
                        errhint("Truncate both tables in one command.")));
    end_all_quotas(guard);
}

// ---- quotas follow limits ---------------------------------------------------------------------
//
// From no limit to one, redemptions in flight take no unit, and from one to none they take units of
// a quota that is about to be ended: both wait for them by a lock on the ledger. Between two limits
// nobody is waited for but whoever has units that are to go. A quota that is not set up is no
// reason to wait: whoever sets it up waits for the owner's row, which we have changed, and then
// reads it anew.
//
// That a coupon moves to another campaign changes nothing here: a redemption stays with the
// campaign in which it was made, and one in flight may still be made in that which it has read.

constexpr int64 no_limit_granted = -1;
static_assert(no_cap == no_limit_granted && no_budget == no_limit_granted);

// A row's cap and budget; granted is no_limit_granted without one.
struct limits {
    quota of[2];
};

int64 bigint_or(const change &at, HeapTuple row, AttrNumber column, int64 if_null) {
    bool has_none = column == 0;
    Datum value = has_none ? Datum{0} : value_of(row, column, at.trigger, has_none);
    return has_none ? if_null : DatumGetInt64(value);
}

// Of the limit of a row, the id of whose quota is this.
quota limit_of(const change &at, HeapTuple row, const quota_id &id, AttrNumber limit,
               AttrNumber rights, int32 stripes) {
    const int64 in_all = bigint_or(at, row, limit, no_limit_granted);
    const int64 here = bigint_or(at, row, rights, all_rights);
    return {id, in_all == no_limit_granted ? no_limit_granted : granted_of(in_all, here), stripes,
            here != all_rights};
}

limits limits_of(const change &at, HeapTuple row) {
    const int64 id = id_of(at, row);
    const limit_columns &columns = at.columns;
    bool has_none = columns.stripes == 0;
    Datum number = has_none ? Datum{0} : value_of(row, columns.stripes, at.trigger, has_none);
    const int32 stripes = has_none ? 0 : DatumGetInt32(number);
    return {{limit_of(at, row, cap_of(at.table.owner, id), columns.max_redemptions, columns.rights,
                      stripes),
             limit_of(at, row, budget_of(at.table.owner, id), columns.budget, columns.budget_rights,
                      stripes)}};
}

void follow_limit_between_numbers(const installation &guard, const quota &before,
                                  const quota &after, CommandId command) {
    bool is_set_up = is_quota_set_up(guard, after.id);
    if (is_set_up && !is_quota_newer_than(guard, after.id, command)) {
        change_grant(guard, before, after);
        return;
    }
    if (is_set_up)
        end_quota(guard, after.id);
    if (after.granted < before.granted)
        check_grant_covers_use(guard, after);
}

void follow_limit(const installation &guard, const quota &before, const quota &after,
                  CommandId command) {
    if (before.granted == after.granted)
        return;
    if (is_replica()) {
        end_quota(guard, after.id);
    } else if (before.granted != no_limit_granted && after.granted != no_limit_granted) {
        follow_limit_between_numbers(guard, before, after, command);
    } else if (after.granted != no_limit_granted) {
        lock_out_redemptions(guard);
        check_grant_covers_use(guard, after);
        set_up_quota(guard, after.id);
    } else if (is_quota_set_up(guard, after.id)) {
        lock_out_redemptions(guard);
        end_quota(guard, after.id);
    }
}

void after_insert(const change &at) {
    if (is_replica())
        return;
    follow_campaign(at, nullptr, at.trigger.tg_trigtuple);
    const limits created = limits_of(at, at.trigger.tg_trigtuple);
    bool is_for_one = at.table.owner == limit_owner::coupon && created.of[0].granted <= 1;
    for (const quota &limit : created.of)
        if (limit.granted != no_limit_granted && !is_for_one)
            set_up_new_quota(at.guard, limit);
}

bool has(const change &at, HeapTuple row, AttrNumber column) {
    bool is_null = true;
    if (column != 0)
        value_of(row, column, at.trigger, is_null);
    return !is_null;
}

// Whether backends may have cached what is changed: the row as it was, or that a limit is used up.
bool concerns_others(const change &at) {
    HeapTuple row = at.trigger.tg_trigtuple;
    if (at.table.owner != limit_owner::coupon || TRIGGER_FIRED_BY_DELETE(at.trigger.tg_event))
        return true;
    const coupon_columns &columns = catalog_of(at.guard).coupon;
    const limits before = limits_of(at, row);
    const limits after = limits_of(at, at.trigger.tg_newtuple);
    coupon_row coupon;
    coupon.max_redemptions = bigint_or(at, row, at.columns.max_redemptions, no_limit_granted);
    coupon.has_holder = has(at, row, columns.holder);
    coupon.has_campaign = has(at, row, columns.campaign_id);
    return !is_personal(coupon) || !is_same(before.of[0].id, after.of[0].id) ||
           before.of[0].granted != after.of[0].granted ||
           before.of[1].granted != after.of[1].granted;
}

void after_change(const change &at) {
    const TriggerData &trigger = at.trigger;
    CommandId command = command_of(trigger);
    if (concerns_others(at) && claim_news_of(command))
        send_coupon_change(at.guard);
    int64 id = id_of(at, trigger.tg_trigtuple);
    bool is_deleted = TRIGGER_FIRED_BY_DELETE(trigger.tg_event);
    if (is_deleted || id_of(at, trigger.tg_newtuple) != id) {
        after_loss(at, id);
        if (!is_deleted)
            end_quotas_of(at, id_of(at, trigger.tg_newtuple));
    } else {
        follow_campaign(at, trigger.tg_trigtuple, trigger.tg_newtuple);
        const limits before = limits_of(at, trigger.tg_trigtuple);
        const limits after = limits_of(at, trigger.tg_newtuple);
        for (int i = 0; i < static_cast<int>(lengthof(before.of)); i++)
            follow_limit(at.guard, before.of[i], after.of[i], command);
    }
    note_own_change_followed();
}

HeapTuple follow_limits(const installation &guard, const TriggerData &trigger,
                        const limited_table &table) {
    TriggerEvent event = trigger.tg_event;
    if (TRIGGER_FIRED_FOR_STATEMENT(event)) {
        lock_out_redemptions(guard);
        if (TRIGGER_FIRED_BY_TRUNCATE(event)) {
            note_own_truncation();
            after_truncate(guard, table);
        }
        return nullptr;
    }
    const change at = {guard, trigger, table, columns_of(catalog_of(guard), table.owner)};
    if (TRIGGER_FIRED_BEFORE(event))
        return before_change(at);
    if (TRIGGER_FIRED_BY_INSERT(event))
        after_insert(at);
    else
        after_change(at);
    return nullptr;
}

Datum follow_limits(FunctionCallInfo call, const limited_table &table) {
    const installation guard = open_guard_for_trigger(call, table.protocol, AccessShareLock);
    return PointerGetDatum(follow_limits(guard, trigger_of(call), table));
}

constexpr limited_table coupons = {
    limit_owner::coupon,
    {"coupon_guard_follow_coupon", &catalog::coupon_table, update_or_delete, update_or_delete},
    "coupon",
    "coupons",
};
constexpr limited_table campaigns = {
    limit_owner::campaign,
    {"coupon_guard_follow_campaign", &catalog::campaign_table, update_or_delete, update_or_delete},
    "campaign",
    "campaigns",
};

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_follow_coupon);
Datum coupon_guard_follow_coupon(PG_FUNCTION_ARGS) {
    return follow_limits(fcinfo, coupons);
}

PG_FUNCTION_INFO_V1(coupon_guard_follow_campaign);
Datum coupon_guard_follow_campaign(PG_FUNCTION_ARGS) {
    return follow_limits(fcinfo, campaigns);
}
}
