// Trigger functions, one for each table: what keeps the tables true when they are changed by plain
// SQL or by replication. Changes by the extension's own functions do not come through here.
//
// No promise hangs on the order in which these triggers and a shop's own fire, nor on what else the
// command does meanwhile: what a trigger does is right whatever has been redeemed between the
// change of the row and the trigger. Where that cannot be known, the quota is ended.

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/coupon_use.hpp"
#include "quota/claims.hpp"
#include "quota/coupon_cap.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"
#include "sql/arguments.hpp"

namespace coupon_guard {
namespace {

// ---- the call ---------------------------------------------------------------------------------

[[noreturn]] void report_protocol(const char *function, const char *what) {
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("function \"%s\" %s", function, what)));
    pg_unreachable();
}

// How a trigger function may be called, besides AFTER ROW and AFTER TRUNCATE.
struct trigger_protocol {
    const char *function;
    Oid catalog::*table;
    int16 before_row; // events, as in pg_trigger.tgtype
    int16 before_statement;
};

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

// The installation of the trigger function that was called as it may be, on its table.
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

// Whether the change comes from elsewhere: a fact to be followed, not one to be judged.
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

// The command that made the change.
CommandId command_of(const TriggerData &trigger) {
    if (TRIGGER_FIRED_BY_DELETE(trigger.tg_event))
        return HeapTupleHeaderGetCmax(trigger.tg_trigtuple->t_data);
    if (TRIGGER_FIRED_BY_UPDATE(trigger.tg_event))
        return HeapTupleHeaderGetCmin(trigger.tg_newtuple->t_data);
    return HeapTupleHeaderGetCmin(trigger.tg_trigtuple->t_data);
}

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

// ---- ledger: the quota follows rows written by plain SQL (imports, restores, clean-ups) --------

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

// ---- quota: nobody else need write there ------------------------------------------------------

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

constexpr int16 update_or_delete = TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;
constexpr trigger_protocol coupon_protocol = {"coupon_guard_follow_coupon", &catalog::coupon_table,
                                              update_or_delete, update_or_delete};
constexpr trigger_protocol ledger_protocol = {"coupon_guard_follow_ledger", &catalog::ledger_table,
                                              0, 0};
constexpr trigger_protocol quota_protocol = {"coupon_guard_follow_quota", &catalog::quota_table,
                                             TRIGGER_TYPE_INSERT | update_or_delete, 0};

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_follow_coupon);
Datum coupon_guard_follow_coupon(PG_FUNCTION_ARGS) {
    const installation guard = open_guard_for_trigger(fcinfo, coupon_protocol, AccessShareLock);
    return PointerGetDatum(follow_coupon(guard, trigger_of(fcinfo)));
}

PG_FUNCTION_INFO_V1(coupon_guard_follow_ledger);
Datum coupon_guard_follow_ledger(PG_FUNCTION_ARGS) {
    const installation guard = open_guard_for_trigger(fcinfo, ledger_protocol, RowExclusiveLock);
    return PointerGetDatum(follow_ledger(guard, trigger_of(fcinfo)));
}

PG_FUNCTION_INFO_V1(coupon_guard_follow_quota);
Datum coupon_guard_follow_quota(PG_FUNCTION_ARGS) {
    const installation guard = open_guard_for_trigger(fcinfo, quota_protocol, AccessShareLock);
    return PointerGetDatum(follow_quota(guard, trigger_of(fcinfo)));
}
}
