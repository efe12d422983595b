// The trigger function on coupon_redemption: the quota follows rows that plain SQL or replication
// writes (imports, restores, clean-ups).

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"
#include "quota/claims.hpp"
#include "quota/coupon_limits.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"
#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

void report_if_beyond(bool is_within, const quota_id &id) {
    if (!is_within)
        rules_of(id).report_used_up(id.owner_id);
}

// Counts what is in use instead of following it row by row.
void count_anew(const installation &guard, const quota_id &id, CommandId command) {
    report_if_beyond(set_up_quota(guard, id), id);
    note_counted(id.owner_id, static_cast<char>(id.kind), command);
}

// So many units more (or, negative, fewer) are in use by what the command did to a row.
void follow_use(const installation &guard, const quota_id &id, int64 more, CommandId command) {
    if (is_replica()) {
        if (is_quota_set_up(guard, id))
            end_quota(guard, id);
        return;
    }
    if (was_counted(id.owner_id, static_cast<char>(id.kind), command))
        return;
    bool is_set_up = is_quota_set_up(guard, id);
    if (is_set_up && !is_quota_newer_than(guard, id, command)) {
        quota limited;
        if (more < 0)
            return_units(guard, id, -more);
        else if (rules_of(id).find(guard, id.owner_id, limited))
            report_if_beyond(wait_for_claim(guard, {limited, more}), id);
        return;
    }
    if (is_set_up)
        end_quota(guard, id);
    if (more > 0)
        count_anew(guard, id, command);
}

struct row_use {
    bool is_live;
    int64 coupon_id;
    int64 amount; // 0: none
    bool has_deadline;
    TimestampTz deadline;
};

row_use use_of(HeapTuple row, const installation &guard, const TriggerData &trigger) {
    const ledger_columns &columns = catalog_of(guard).ledger;
    row_use use;
    value_of(row, columns.voided_at, trigger, use.is_live);
    use.coupon_id = bigint_of(row, columns.coupon_id, trigger);
    bool has_none = columns.amount == 0;
    Datum amount = has_none ? Datum{0} : value_of(row, columns.amount, trigger, has_none);
    use.amount = has_none ? 0 : Max(DatumGetInt64(amount), 0);
    use.deadline = DatumGetTimestampTz(value_of(row, columns.hold_expires_at, trigger, has_none));
    use.has_deadline = !has_none;
    return use;
}

// From what the row had to what it has, either of which may be nothing.
void follow_row(const installation &guard, const row_use &before, const row_use &after,
                CommandId command) {
    const quota_id ids[] = {cap_of(before.coupon_id), budget_of(before.coupon_id)};
    const int64 had[] = {before.is_live ? 1 : 0, before.is_live ? before.amount : 0};
    const quota_id new_ids[] = {cap_of(after.coupon_id), budget_of(after.coupon_id)};
    const int64 has[] = {after.is_live ? 1 : 0, after.is_live ? after.amount : 0};
    for (int i = 0; i < static_cast<int>(lengthof(ids)); i++) {
        if (is_same(ids[i], new_ids[i])) {
            if (has[i] != had[i])
                follow_use(guard, ids[i], has[i] - had[i], command);
            continue;
        }
        if (had[i] > 0)
            follow_use(guard, ids[i], -had[i], command);
        if (has[i] > 0)
            follow_use(guard, new_ids[i], has[i], command);
    }
}

void follow_changed_row(const installation &guard, const row_use &before, const row_use &after,
                        CommandId command) {
    follow_row(guard, before, after, command);
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
    const row_use use = use_of(trigger.tg_trigtuple, guard, trigger);
    row_use none = use;
    none.is_live = false;
    if (TRIGGER_FIRED_BY_UPDATE(trigger.tg_event))
        follow_changed_row(guard, use, use_of(trigger.tg_newtuple, guard, trigger), command);
    else if (TRIGGER_FIRED_BY_INSERT(trigger.tg_event))
        follow_row(guard, none, use, command);
    else
        follow_row(guard, use, none, command);
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
