// Trigger on coupon: a coupon that has redemptions cannot go, nor change its id.
//
// The SHARE ROW EXCLUSIVE lock on the ledger waits for every redemption in flight and keeps new
// ones out until this transaction ends. What is then in the ledger is all there is; and whoever
// redeems later reads the coupon after this transaction's end, so finds it gone.

#include "functions.hpp"
#include "ledger.hpp"

namespace coupon_guard {
namespace {

void keep_row(const schema &objects, const TriggerData *trigger) {
    TupleDesc columns = RelationGetDescr(trigger->tg_relation);
    bool is_null;
    Datum id = heap_getattr(trigger->tg_trigtuple, objects.coupon.id, columns, &is_null);
    if (!has_redemptions(objects, DatumGetInt64(id)))
        return;
    AttrNumber code_column = get_attnum(objects.coupon_table, "code");
    Datum code = heap_getattr(trigger->tg_trigtuple, code_column, columns, &is_null);
    bool is_delete = TRIGGER_FIRED_BY_DELETE(trigger->tg_event);
    ereport(ERROR, (errcode(ERRCODE_RESTRICT_VIOLATION),
                    errmsg(is_delete ? "coupon \"%s\" has redemptions and cannot be deleted"
                                     : "coupon \"%s\" has redemptions and cannot change its ID",
                           is_null ? "" : clip_for_message(code)),
                    errdetail("Table \"coupon_redemption\" refers to it by ID " INT64_FORMAT ".",
                              DatumGetInt64(id)),
                    errhint("Set active = false to stop it from being redeemed.")));
}

void keep_table(const schema &objects) {
    if (has_redemptions(objects))
        ereport(ERROR, (errcode(ERRCODE_RESTRICT_VIOLATION),
                        errmsg("coupons have redemptions and cannot be truncated"),
                        errdetail("Table \"coupon_redemption\" is not empty."),
                        errhint("Truncate both tables in one command, or set active = false.")));
}

HeapTuple keep_redeemed(Oid function, const TriggerData *trigger) {
    const schema objects = lock_schema(function, ShareRowExclusiveLock);
    if (RelationGetRelid(trigger->tg_relation) != objects.coupon_table)
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("this trigger function belongs to table \"coupon\"")));
    if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event)) {
        keep_table(objects);
        return nullptr;
    }
    keep_row(objects, trigger);
    return TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple
                                                      : trigger->tg_trigtuple;
}

} // namespace
} // namespace coupon_guard

extern "C" {
PG_FUNCTION_INFO_V1(coupon_guard_keep_redeemed);

Datum coupon_guard_keep_redeemed(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("coupon_guard_keep_redeemed() must be called as a trigger")));
    auto trigger = reinterpret_cast<TriggerData *>(fcinfo->context);
    return PointerGetDatum(coupon_guard::keep_redeemed(fcinfo->flinfo->fn_oid, trigger));
}
}
