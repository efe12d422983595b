// Trigger functions: what keeps the three tables true when they are changed by plain SQL. Changes
// by the extension's own functions do not come through here.

#include "arguments.hpp"
#include "ledger.hpp"
#include "quota.hpp"
#include "refusal.hpp"

namespace coupon_guard {
namespace {

using trigger_action = HeapTuple (*)(const schema &objects, const TriggerData &trigger);

Datum value_of(HeapTuple row, AttrNumber column, const TriggerData &trigger, bool &is_null) {
    return heap_getattr(row, column, RelationGetDescr(trigger.tg_relation), &is_null);
}

int64 bigint_of(HeapTuple row, AttrNumber column, const TriggerData &trigger) {
    bool is_null;
    return DatumGetInt64(value_of(row, column, trigger, is_null));
}

// ---- coupon: what has redemptions stays -------------------------------------------------------
//
// The SHARE ROW EXCLUSIVE lock on the ledger waits for every redemption in flight and keeps new
// ones out until this transaction ends. What is then in the ledger is all there is; and whoever
// redeems later reads the coupon after this transaction's end, so finds it gone. A DELETE takes the
// lock before it locks a coupon's row, for a first redemption takes them in this order too.

void keep_coupon(const schema &objects, const TriggerData &trigger) {
    int64 id = bigint_of(trigger.tg_trigtuple, objects.coupon.id, trigger);
    if (has_redemptions(objects, id)) {
        bool is_null;
        Datum code = value_of(trigger.tg_trigtuple, objects.coupon.code, trigger, is_null);
        ereport(ERROR,
                (errcode(ERRCODE_RESTRICT_VIOLATION),
                 errmsg(TRIGGER_FIRED_BY_DELETE(trigger.tg_event)
                            ? "coupon \"%s\" has redemptions and cannot be deleted"
                            : "coupon \"%s\" has redemptions and cannot change its ID",
                        clip_for_message(code)),
                 errdetail("Table \"coupon_redemption\" refers to it by ID " INT64_FORMAT ".", id),
                 errhint("Set active = false to stop it from being redeemed.")));
    }
    drop_quota(objects, id);
}

void keep_all_coupons(const schema &objects) {
    if (has_redemptions(objects))
        ereport(ERROR, (errcode(ERRCODE_RESTRICT_VIOLATION),
                        errmsg("coupons have redemptions and cannot be truncated"),
                        errdetail("Table \"coupon_redemption\" is not empty."),
                        errhint("Truncate both tables in one command, or set active = false.")));
    drop_all_quotas(objects);
}

HeapTuple keep_redeemed(const schema &objects, const TriggerData &trigger) {
    if (TRIGGER_FIRED_FOR_STATEMENT(trigger.tg_event)) {
        if (TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event))
            keep_all_coupons(objects);
        return nullptr;
    }
    keep_coupon(objects, trigger);
    return TRIGGER_FIRED_BY_UPDATE(trigger.tg_event) ? trigger.tg_newtuple : trigger.tg_trigtuple;
}

// ---- coupon: the quota follows the cap --------------------------------------------------------
//
// From no cap to one, redemptions in flight take no unit, and from one to none they take units of
// stripes that are going: both wait for them by a lock on the ledger. Between two caps nobody is
// waited for but whoever has units that are to go. A quota that is not set up is no reason to wait:
// whoever sets it up waits for the coupon's row, which we have changed, and then reads it anew.

int64 cap_of(HeapTuple row, const schema &objects, const TriggerData &trigger) {
    bool is_null;
    Datum cap = value_of(row, objects.coupon.max_redemptions, trigger, is_null);
    return is_null ? no_cap : DatumGetInt64(cap);
}

coupon capped_coupon(const schema &objects, const TriggerData &trigger, HeapTuple row) {
    coupon offer;
    memset(&offer, 0, sizeof offer);
    offer.id = bigint_of(row, objects.coupon.id, trigger);
    offer.max_redemptions = cap_of(row, objects, trigger);
    return offer;
}

HeapTuple follow_new_cap(const schema &objects, const TriggerData &trigger) {
    set_up_new_quota(objects, capped_coupon(objects, trigger, trigger.tg_trigtuple));
    return nullptr;
}

HeapTuple follow_changed_cap(const schema &objects, const TriggerData &trigger) {
    coupon before = capped_coupon(objects, trigger, trigger.tg_trigtuple);
    coupon after = capped_coupon(objects, trigger, trigger.tg_newtuple);
    if (is_capped(before) && is_capped(after)) {
        change_cap(objects, before, after);
        return nullptr;
    }
    if (is_capped(before) && !is_quota_set_up(objects, after.id))
        return nullptr;
    lock_schema(objects.function, ShareRowExclusiveLock);
    if (is_capped(after)) {
        check_cap_covers_use(objects, after);
        set_up_quota(objects, after);
    } else {
        drop_quota(objects, after.id);
    }
    return nullptr;
}

HeapTuple follow_cap(const schema &objects, const TriggerData &trigger) {
    return TRIGGER_FIRED_BY_INSERT(trigger.tg_event) ? follow_new_cap(objects, trigger)
                                                     : follow_changed_cap(objects, trigger);
}

// ---- coupon, quota: what backends keep in mind hears of changes -------------------------------

HeapTuple announce_change(const schema &objects, const TriggerData &) {
    announce_coupon_change(objects);
    return nullptr;
}

HeapTuple announce_return(const schema &objects, const TriggerData &) {
    announce_unit_return(objects);
    return nullptr;
}

// ---- ledger: the quota follows rows written by plain SQL (imports, restores, clean-ups) --------

struct unit_use {
    bool uses_unit;
    int64 coupon_id;
};

unit_use unit_use_of(HeapTuple row, const schema &objects, const TriggerData &trigger) {
    bool is_live;
    value_of(row, objects.ledger.voided_at, trigger, is_live);
    return {is_live, bigint_of(row, objects.ledger.coupon_id, trigger)};
}

bool is_same(unit_use one, unit_use other) {
    return one.uses_unit == other.uses_unit && one.coupon_id == other.coupon_id;
}

void give_back(const schema &objects, unit_use before) {
    if (before.uses_unit && is_quota_set_up(objects, before.coupon_id))
        return_units(objects, before.coupon_id, 1);
}

void take_for(const schema &objects, unit_use after) {
    coupon offer;
    if (after.uses_unit && is_quota_set_up(objects, after.coupon_id) &&
        find_coupon(objects, after.coupon_id, offer) && is_capped(offer) &&
        !wait_for_unit(objects, offer))
        report_sold_out(after.coupon_id);
}

HeapTuple follow_ledger(const schema &objects, const TriggerData &trigger) {
    if (TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event)) {
        drop_all_quotas(objects);
        return nullptr;
    }
    unit_use use = unit_use_of(trigger.tg_trigtuple, objects, trigger);
    if (TRIGGER_FIRED_BY_INSERT(trigger.tg_event)) {
        take_for(objects, use);
    } else if (TRIGGER_FIRED_BY_DELETE(trigger.tg_event)) {
        give_back(objects, use);
    } else {
        unit_use new_use = unit_use_of(trigger.tg_newtuple, objects, trigger);
        if (is_same(use, new_use)) { // a hold has another deadline
            announce_unit_return(objects);
        } else {
            give_back(objects, use);
            take_for(objects, new_use);
        }
    }
    return nullptr;
}

Datum run_trigger(FunctionCallInfo call, LOCKMODE ledger_lock, Oid schema::*table,
                  trigger_action action) {
    if (!CALLED_AS_TRIGGER(call))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("a trigger function must be called as a trigger")));
    const TriggerData &trigger = *reinterpret_cast<TriggerData *>(call->context);
    const schema objects = lock_schema(call->flinfo->fn_oid, ledger_lock);
    if (RelationGetRelid(trigger.tg_relation) != objects.*table)
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("this trigger function belongs to another table"),
                        errdetail("It keeps the tables of coupon_guard true.")));
    return PointerGetDatum(action(objects, trigger));
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_keep_redeemed);
Datum coupon_guard_keep_redeemed(PG_FUNCTION_ARGS) {
    return run_trigger(fcinfo, ShareRowExclusiveLock, &schema::coupon_table, keep_redeemed);
}

PG_FUNCTION_INFO_V1(coupon_guard_follow_cap);
Datum coupon_guard_follow_cap(PG_FUNCTION_ARGS) {
    return run_trigger(fcinfo, RowExclusiveLock, &schema::coupon_table, follow_cap);
}

PG_FUNCTION_INFO_V1(coupon_guard_announce_change);
Datum coupon_guard_announce_change(PG_FUNCTION_ARGS) {
    return run_trigger(fcinfo, AccessShareLock, &schema::coupon_table, announce_change);
}

PG_FUNCTION_INFO_V1(coupon_guard_announce_return);
Datum coupon_guard_announce_return(PG_FUNCTION_ARGS) {
    return run_trigger(fcinfo, AccessShareLock, &schema::quota_table, announce_return);
}

PG_FUNCTION_INFO_V1(coupon_guard_follow_ledger);
Datum coupon_guard_follow_ledger(PG_FUNCTION_ARGS) {
    return run_trigger(fcinfo, RowExclusiveLock, &schema::ledger_table, follow_ledger);
}
}
