// Trigger functions, one for each table: what keeps the tables true when they are changed by plain
// SQL or by replication. Changes by the extension's own functions do not come through here.
//
// No promise hangs on the order in which these triggers and a shop's own fire, nor on what else the
// command does meanwhile: what a trigger does is right whatever has been redeemed between the
// change of the row and the trigger. Where that cannot be known, the quota is ended.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

inline constexpr int16 update_or_delete = TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;

// How a trigger function may be called, besides AFTER ROW and AFTER TRUNCATE.
struct trigger_protocol {
    const char *function;
    Oid catalog::*table;
    int16 before_row; // events, as in pg_trigger.tgtype
    int16 before_statement;
};

// The installation of the trigger function that was called as it may be, on its table. Errors:
// 39P01 if it was called in another way.
installation open_guard_for_trigger(FunctionCallInfo call, const trigger_protocol &allowed,
                                    LOCKMODE ledger_lock);

const TriggerData &trigger_of(FunctionCallInfo call);

// Whether the change comes from elsewhere: a fact to be followed, not one to be judged.
bool is_replica();

// The value of a column of one of the trigger's rows; of one that is never NULL.
Datum value_of(HeapTuple row, AttrNumber column, const TriggerData &trigger, bool &is_null);
int64 bigint_of(HeapTuple row, AttrNumber column, const TriggerData &trigger);

// The command that made the change.
CommandId command_of(const TriggerData &trigger);

} // namespace coupon_guard
