// The trigger function on coupon_quota: nobody else need write there.

#include "catalog/invalidation.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_setup.hpp"
#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

// What is replicated to the quota is not for this server: its quota follows its own ledger. What is
// written by hand is void from the first, so that this very command gets nothing of it either.
HeapTuple before_quota_change(const installation &guard, const TriggerData &trigger) {
    if (is_replica())
        return nullptr;
    if (TRIGGER_FIRED_BY_DELETE(trigger.tg_event))
        return trigger.tg_trigtuple;
    HeapTuple row =
        TRIGGER_FIRED_BY_UPDATE(trigger.tg_event) ? trigger.tg_newtuple : trigger.tg_trigtuple;
    int generation = catalog_of(guard).quota.generation;
    Datum value = Int32GetDatum(void_generation);
    bool is_null = false;
    return heap_modify_tuple_by_cols(row, RelationGetDescr(trigger.tg_relation), 1, &generation,
                                     &value, &is_null);
}

quota_id quota_of(HeapTuple row, const installation &guard, const TriggerData &trigger) {
    const quota_columns &columns = catalog_of(guard).quota;
    bool is_null; // neither is: they are the primary key
    char kind = DatumGetChar(value_of(row, columns.kind, trigger, is_null));
    return {bigint_of(row, columns.owner_id, trigger), static_cast<quota_kind>(kind)};
}

void after_quota_change(const installation &guard, const TriggerData &trigger) {
    end_quota(guard, quota_of(trigger.tg_trigtuple, guard, trigger));
    if (TRIGGER_FIRED_BY_UPDATE(trigger.tg_event))
        end_quota(guard, quota_of(trigger.tg_newtuple, guard, trigger));
    send_unit_return(guard);
}

HeapTuple follow_quota(const installation &guard, const TriggerData &trigger) {
    if (TRIGGER_FIRED_BEFORE(trigger.tg_event))
        return before_quota_change(guard, trigger);
    if (TRIGGER_FIRED_BY_TRUNCATE(trigger.tg_event)) {
        withdraw_all_units_ahead(guard);
        send_unit_return(guard);
    } else
        after_quota_change(guard, trigger);
    return nullptr;
}

constexpr trigger_protocol quota_protocol = {"coupon_guard_follow_quota", &catalog::quota_table,
                                             TRIGGER_TYPE_INSERT | update_or_delete, 0};

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_follow_quota);
Datum coupon_guard_follow_quota(PG_FUNCTION_ARGS) {
    const installation guard = open_guard_for_trigger(fcinfo, quota_protocol, AccessShareLock);
    return PointerGetDatum(follow_quota(guard, trigger_of(fcinfo)));
}
}
