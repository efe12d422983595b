// The trigger function on coupon_redemption: the quota follows rows that plain SQL or replication
// writes (imports, restores, clean-ups).

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"
#include "quota/claims.hpp"
#include "quota/coupon_cap.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"
#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

void report_if_beyond(bool is_within, const quota_id &id) {
    if (!is_within)
        rules_of(id).report_used_up(id.owner_id);
}

// Counts the coupon's live rows instead of following them one by one.
void count_anew(const installation &guard, int64 coupon_id, CommandId command) {
    report_if_beyond(set_up_quota(guard, cap_of(coupon_id)), cap_of(coupon_id));
    note_counted(coupon_id, command);
}

// A live row of the coupon was made (else: ended) by the command.
void follow_live_row(const installation &guard, int64 coupon_id, bool is_made, CommandId command) {
    const quota_id cap = cap_of(coupon_id);
    if (is_replica()) {
        if (is_quota_set_up(guard, cap))
            end_quota(guard, cap);
        return;
    }
    if (was_counted(coupon_id, command))
        return;
    bool is_set_up = is_quota_set_up(guard, cap);
    if (is_set_up && !is_quota_newer_than(guard, cap, command)) {
        coupon_row coupon;
        if (!is_made)
            return_units(guard, cap, 1);
        else if (find_coupon(guard, coupon_id, coupon) && is_capped(coupon))
            report_if_beyond(wait_for_claim(guard, {cap_of(coupon), 1}), cap);
        return;
    }
    if (is_set_up)
        end_quota(guard, cap);
    if (is_made)
        count_anew(guard, coupon_id, command);
}

struct unit_use {
    bool is_live;
    int64 coupon_id;
    bool has_deadline;
    TimestampTz deadline;
};

unit_use unit_use_of(HeapTuple row, const installation &guard, const TriggerData &trigger) {
    const ledger_columns &columns = catalog_of(guard).ledger;
    unit_use use;
    value_of(row, columns.voided_at, trigger, use.is_live);
    use.coupon_id = bigint_of(row, columns.coupon_id, trigger);
    bool has_none;
    use.deadline = DatumGetTimestampTz(value_of(row, columns.hold_expires_at, trigger, has_none));
    use.has_deadline = !has_none;
    return use;
}

void follow_changed_row(const installation &guard, const unit_use &before, const unit_use &after,
                        CommandId command) {
    bool is_moved = before.coupon_id != after.coupon_id;
    if (before.is_live && (is_moved || !after.is_live))
        follow_live_row(guard, before.coupon_id, false, command);
    if (after.is_live && (is_moved || !before.is_live))
        follow_live_row(guard, after.coupon_id, true, command);
    if (before.has_deadline != after.has_deadline ||
        (before.has_deadline && before.deadline != after.deadline))
        send_unit_return(guard); // a hold ends at another time
}

HeapTuple follow_ledger(const installation &guard, const TriggerData &trigger) {
    if (TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event)) {
        end_all_quotas(guard);
        return nullptr;
    }
    CommandId command = command_of(trigger);
    unit_use use = unit_use_of(trigger.tg_trigtuple, guard, trigger);
    if (TRIGGER_FIRED_BY_UPDATE(trigger.tg_event))
        follow_changed_row(guard, use, unit_use_of(trigger.tg_newtuple, guard, trigger), command);
    else if (use.is_live)
        follow_live_row(guard, use.coupon_id, TRIGGER_FIRED_BY_INSERT(trigger.tg_event), command);
    return nullptr;
}

constexpr trigger_protocol ledger_protocol = {"coupon_guard_follow_ledger", &catalog::ledger_table,
                                              0, 0};

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_follow_ledger);
Datum coupon_guard_follow_ledger(PG_FUNCTION_ARGS) {
    const installation guard = open_guard_for_trigger(fcinfo, ledger_protocol, RowExclusiveLock);
    return PointerGetDatum(follow_ledger(guard, trigger_of(fcinfo)));
}
}
