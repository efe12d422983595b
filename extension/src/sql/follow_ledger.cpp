// The trigger function on coupon_redemption: the quota follows rows that plain SQL or replication
// writes (imports, restores, clean-ups).

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"
#include "quota/claims.hpp"
#include "quota/limit.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"
#include "quota/shares.hpp"
#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

void report_if_beyond(bool is_within, const quota_id &id) {
    if (!is_within)
        report_used_up(id);
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
    // The count has the row already: of a quota that is counted anew nothing more is taken for it.
    if (is_set_up && !is_quota_newer_than(guard, id, command) && !is_quota_outdated(guard, id)) {
        quota limited;
        if (more < 0)
            return_units(guard, id, -more);
        else if (find_quota(guard, id, limited))
            report_if_beyond(wait_for_claim(guard, {limited, more}), id);
        return;
    }
    if (is_set_up)
        end_quota(guard, id);
    if (more > 0)
        count_anew(guard, id, command);
}

struct row_use {
    redemption row; // as far as shares and deadline go
    bool is_live;
};

bool read_bigint(HeapTuple row, AttrNumber column, const TriggerData &trigger, int64 &value) {
    bool is_null = true;
    Datum found = column == 0 ? Datum{0} : value_of(row, column, trigger, is_null);
    value = is_null ? 0 : DatumGetInt64(found);
    return !is_null;
}

row_use use_of(HeapTuple row, const installation &guard, const TriggerData &trigger) {
    const ledger_columns &columns = catalog_of(guard).ledger;
    row_use use = {};
    value_of(row, columns.voided_at, trigger, use.is_live);
    use.row.coupon_id = bigint_of(row, columns.coupon_id, trigger);
    read_bigint(row, columns.amount, trigger, use.row.amount);
    use.row.amount = Max(use.row.amount, 0);
    use.row.has_campaign = read_bigint(row, columns.campaign_id, trigger, use.row.campaign_id);
    if (!read_bigint(row, columns.hold_expires_at, trigger, use.row.hold_expires_at))
        use.row.hold_expires_at = no_deadline;
    return use;
}

shares shares_of(const row_use &use) {
    return use.is_live ? shares_of(use.row) : shares{};
}

int64 units_of(const shares &had, const quota_id &id) {
    for (int i = 0; i < had.count; i++)
        if (is_same(had.of[i].id, id))
            return had.of[i].units;
    return 0;
}

// From what the row had to what it has, either of which may be nothing.
void follow_row(const installation &guard, const row_use &before, const row_use &after,
                CommandId command) {
    const shares had = shares_of(before);
    const shares has = shares_of(after);
    for (int i = 0; i < had.count; i++) {
        int64 more = units_of(has, had.of[i].id) - had.of[i].units;
        if (more != 0)
            follow_use(guard, had.of[i].id, more, command);
    }
    for (int i = 0; i < has.count; i++)
        if (units_of(had, has.of[i].id) == 0)
            follow_use(guard, has.of[i].id, has.of[i].units, command);
}

void follow_changed_row(const installation &guard, const row_use &before, const row_use &after,
                        CommandId command) {
    follow_row(guard, before, after, command);
    if (before.row.hold_expires_at != after.row.hold_expires_at)
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
