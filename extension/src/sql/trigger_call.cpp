#include "sql/trigger_call.hpp"

namespace coupon_guard {
namespace {

[[noreturn]] void report_protocol(const char *function, const char *what) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("function \"%s\" %s", function, what)));
    pg_unreachable();
}

int16 event_of(const TriggerData &trigger) {
    return TRIGGER_FIRED_BY_INSERT(trigger.tg_event)   ? TRIGGER_TYPE_INSERT
           : TRIGGER_FIRED_BY_UPDATE(trigger.tg_event) ? TRIGGER_TYPE_UPDATE
           : TRIGGER_FIRED_BY_DELETE(trigger.tg_event) ? TRIGGER_TYPE_DELETE
                                                       : TRIGGER_TYPE_TRUNCATE;
}

void check_event(const TriggerData &trigger, const trigger_protocol &allowed) {
    TriggerEvent event = trigger.tg_event;
    if (TRIGGER_FIRED_INSTEAD(event))
        report_protocol(allowed.function, "must not be fired INSTEAD OF");
    if (TRIGGER_FIRED_BY_TRUNCATE(event) && !TRIGGER_FIRED_AFTER(event))
        report_protocol(allowed.function, "must be fired AFTER TRUNCATE");
    if (TRIGGER_FIRED_BY_TRUNCATE(event))
        return;
    bool is_row = TRIGGER_FIRED_FOR_ROW(event);
    if (TRIGGER_FIRED_BEFORE(event)) {
        int16 events = is_row ? allowed.before_row : allowed.before_statement;
        if ((events & event_of(trigger)) == 0)
            report_protocol(allowed.function, "must be fired AFTER this event");
    } else if (!is_row)
        report_protocol(allowed.function, "must be fired for each row");
}

} // namespace

installation open_guard_for_trigger(FunctionCallInfo call, const trigger_protocol &allowed,
                                    LOCKMODE ledger_lock) {
    if (!CALLED_AS_TRIGGER(call))
        report_protocol(allowed.function, "was not called by trigger manager");
    const TriggerData &trigger = *reinterpret_cast<TriggerData *>(call->context);
    check_event(trigger, allowed);
    if (TRIGGER_FIRED_AFTER(trigger.tg_event))
        CommandCounterIncrement(); // all that the command has done counts
    const installation guard = open_guard(call->flinfo->fn_oid, ledger_lock);
    if (RelationGetRelid(trigger.tg_relation) != catalog_of(guard).*allowed.table)
        report_protocol(allowed.function, "must be fired for its own table of coupon_guard");
    return guard;
}

const TriggerData &trigger_of(FunctionCallInfo call) {
    return *reinterpret_cast<TriggerData *>(call->context);
}

bool is_replica() {
    return SessionReplicationRole == SESSION_REPLICATION_ROLE_REPLICA;
}

Datum value_of(HeapTuple row, AttrNumber column, const TriggerData &trigger, bool &is_null) {
    return heap_getattr(row, column, RelationGetDescr(trigger.tg_relation), &is_null);
}

int64 bigint_of(HeapTuple row, AttrNumber column, const TriggerData &trigger) {
    bool is_null;
    Datum value = value_of(row, column, trigger, is_null);
    if (is_null)
        ereport(ERROR, (errcode(ERRCODE_NOT_NULL_VIOLATION),
                        errmsg("unexpected null in column %d of table \"%s\"", column,
                               RelationGetRelationName(trigger.tg_relation))));
    return DatumGetInt64(value);
}

CommandId command_of(const TriggerData &trigger) {
    if (TRIGGER_FIRED_BY_DELETE(trigger.tg_event))
        return HeapTupleHeaderGetCmax(trigger.tg_trigtuple->t_data);
    if (TRIGGER_FIRED_BY_UPDATE(trigger.tg_event))
        return HeapTupleHeaderGetCmin(trigger.tg_newtuple->t_data);
    return HeapTupleHeaderGetCmin(trigger.tg_trigtuple->t_data);
}

} // namespace coupon_guard
