// The trigger function on coupon: what has redemptions stays, the quota follows the cap, and
// backends are told of changes.

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/coupon_use.hpp"
#include "pg/text_value.hpp"
#include "quota/coupon_cap.hpp"
#include "quota/quota_setup.hpp"
#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

// ---- coupon: what has redemptions stays -------------------------------------------------------
//
// The SHARE ROW EXCLUSIVE lock on the ledger waits for every redemption in flight and keeps new
// ones out until this transaction ends. What is then in the ledger is all there is, but for what
// this transaction itself redeems before the row is gone: so the ledger is looked at afterwards.
// And whoever redeems later reads the coupon after this transaction's end, so finds it gone. The
// lock is taken before any coupon's row is locked (BEFORE STATEMENT), for a first redemption takes
// them in this order too.

void lock_out_redemptions(const installation &guard) {
    if (!is_replica())
        lock_table(guard, &catalog::ledger_table, ShareRowExclusiveLock);
}

bool changes_id(const installation &guard, const TriggerData &trigger) {
    AttrNumber id = catalog_of(guard).coupon.id;
    return bigint_of(trigger.tg_trigtuple, id, trigger) !=
           bigint_of(trigger.tg_newtuple, id, trigger);
}

HeapTuple before_coupon_change(const installation &guard, const TriggerData &trigger) {
    note_coupon_change(bigint_of(trigger.tg_trigtuple, catalog_of(guard).coupon.id, trigger));
    bool is_update = TRIGGER_FIRED_BY_UPDATE(trigger.tg_event);
    if (!is_update || changes_id(guard, trigger))
        lock_out_redemptions(guard);
    return is_update ? trigger.tg_newtuple : trigger.tg_trigtuple;
}

void keep_redeemed(const installation &guard, const TriggerData &trigger, int64 id) {
    if (!has_redemptions(guard, id))
        return;
    bool is_null;
    Datum code = value_of(trigger.tg_trigtuple, catalog_of(guard).coupon.code, trigger, is_null);
    ereport(ERROR,
            (errcode(ERRCODE_RESTRICT_VIOLATION),
             errmsg(TRIGGER_FIRED_BY_DELETE(trigger.tg_event)
                        ? "coupon \"%s\" has redemptions and cannot be deleted"
                        : "coupon \"%s\" has redemptions and cannot change its ID",
                    is_null ? "" : clip_for_message(code)),
             errdetail("Table \"coupon_redemption\" refers to it by ID " INT64_FORMAT ".", id),
             errhint("Set active = false to stop it from being redeemed.")));
}

// The coupon has gone, under this id at least.
void after_coupon_loss(const installation &guard, const TriggerData &trigger) {
    int64 id = bigint_of(trigger.tg_trigtuple, catalog_of(guard).coupon.id, trigger);
    if (!is_replica())
        keep_redeemed(guard, trigger, id);
    end_quota(guard, cap_of(id));
}

void after_coupon_truncate(const installation &guard) {
    if (!is_replica() && has_redemptions(guard))
        ereport(ERROR, (errcode(ERRCODE_RESTRICT_VIOLATION),
                        errmsg("coupons have redemptions and cannot be truncated"),
                        errdetail("Table \"coupon_redemption\" is not empty."),
                        errhint("Truncate both tables in one command, or set active = false.")));
    end_all_quotas(guard);
}

// ---- coupon: the quota follows the cap --------------------------------------------------------
//
// From no cap to one, redemptions in flight take no unit, and from one to none they take units of
// a quota that is about to be ended: both wait for them by a lock on the ledger. Between two caps
// nobody is waited for but whoever has units that are to go. A quota that is not set up is no
// reason to wait: whoever sets it up waits for the coupon's row, which we have changed, and then
// reads it anew.

coupon_row capped_coupon(const installation &guard, const TriggerData &trigger, HeapTuple row) {
    const coupon_columns &columns = catalog_of(guard).coupon;
    coupon_row coupon;
    memset(&coupon, 0, sizeof coupon);
    coupon.id = bigint_of(row, columns.id, trigger);
    bool has_no_stripes;
    Datum stripes = value_of(row, columns.stripes, trigger, has_no_stripes);
    coupon.stripes = has_no_stripes ? 0 : DatumGetInt32(stripes);
    bool has_no_cap;
    Datum cap = value_of(row, columns.max_redemptions, trigger, has_no_cap);
    coupon.max_redemptions = has_no_cap ? no_cap : DatumGetInt64(cap);
    return coupon;
}

void follow_cap_between_numbers(const installation &guard, const coupon_row &before,
                                const coupon_row &after, CommandId command) {
    bool is_set_up = is_quota_set_up(guard, cap_of(after.id));
    if (is_set_up && !is_quota_newer_than(guard, cap_of(after.id), command)) {
        change_grant(guard, cap_of(before), cap_of(after));
        return;
    }
    if (is_set_up)
        end_quota(guard, cap_of(after.id));
    if (after.max_redemptions < before.max_redemptions)
        check_grant_covers_use(guard, cap_of(after));
}

void follow_cap(const installation &guard, const coupon_row &before, const coupon_row &after,
                CommandId command) {
    if (before.max_redemptions == after.max_redemptions)
        return;
    if (is_replica()) {
        end_quota(guard, cap_of(after.id));
    } else if (is_capped(before) && is_capped(after)) {
        follow_cap_between_numbers(guard, before, after, command);
    } else if (is_capped(after)) {
        lock_out_redemptions(guard);
        check_grant_covers_use(guard, cap_of(after));
        set_up_quota(guard, cap_of(after.id));
    } else if (is_quota_set_up(guard, cap_of(after.id))) {
        lock_out_redemptions(guard);
        end_quota(guard, cap_of(after.id));
    }
}

void after_coupon_insert(const installation &guard, const TriggerData &trigger) {
    coupon_row created = capped_coupon(guard, trigger, trigger.tg_trigtuple);
    if (is_capped(created) && !is_replica())
        set_up_new_quota(guard, cap_of(created));
}

void after_coupon_change(const installation &guard, const TriggerData &trigger) {
    CommandId command = command_of(trigger);
    if (claim_news_of(command))
        send_coupon_change(guard);
    if (TRIGGER_FIRED_BY_DELETE(trigger.tg_event)) {
        after_coupon_loss(guard, trigger);
        note_coupon_change_followed();
        return;
    }
    coupon_row before = capped_coupon(guard, trigger, trigger.tg_trigtuple);
    coupon_row after = capped_coupon(guard, trigger, trigger.tg_newtuple);
    if (before.id != after.id) {
        after_coupon_loss(guard, trigger);
        end_quota(guard, cap_of(after.id));
    } else
        follow_cap(guard, before, after, command);
    note_coupon_change_followed();
}

HeapTuple follow_coupon(const installation &guard, const TriggerData &trigger) {
    TriggerEvent event = trigger.tg_event;
    if (TRIGGER_FIRED_BY_TRUNCATE(event)) {
        lock_out_redemptions(guard);
        after_coupon_truncate(guard);
    } else if (TRIGGER_FIRED_FOR_STATEMENT(event))
        lock_out_redemptions(guard);
    else if (TRIGGER_FIRED_BEFORE(event))
        return before_coupon_change(guard, trigger);
    else if (TRIGGER_FIRED_BY_INSERT(event))
        after_coupon_insert(guard, trigger);
    else
        after_coupon_change(guard, trigger);
    return nullptr;
}

constexpr trigger_protocol coupon_protocol = {"coupon_guard_follow_coupon", &catalog::coupon_table,
                                              update_or_delete, update_or_delete};

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_follow_coupon);
Datum coupon_guard_follow_coupon(PG_FUNCTION_ARGS) {
    const installation guard = open_guard_for_trigger(fcinfo, coupon_protocol, AccessShareLock);
    return PointerGetDatum(follow_coupon(guard, trigger_of(fcinfo)));
}
}
