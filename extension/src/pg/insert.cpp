// Follows ExecInsert() of nodeModifyTable.c, for one row and with the same order of steps:
// BEFORE triggers, generated columns, constraints, speculative insertion, indexes, AFTER triggers.
//
// Speculative insertion (execIndexing.c has its argument): the row is written with a token, then
// the index entries. If the arbiter index shows another row of the same key, ours is killed as if
// it had never been, which logical decoding respects; no rival ever waits for a row so killed
// longer than for its token. Livelock is impossible: of two rivals the first to write its index
// entry finds no other and stays.

#include "pg/insert.hpp"

#include "pg/schema.hpp"

extern "C" {
#include "utils/datum.h"
}

namespace coupon_guard {
namespace {

Relation table_of(ResultRelInfo *target) {
    return target->ri_RelationDesc;
}

// Columns that a shop added to the table get their defaults.
void fill_defaults(ResultRelInfo *target, EState *estate, TupleTableSlot *slot, const bool *given) {
    TupleDesc columns = RelationGetDescr(table_of(target));
    for (int i = 0; i < columns->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(columns, i);
        if (given[i] || column->attisdropped || column->attgenerated)
            continue;
        Node *expression = build_column_default(table_of(target), i + 1);
        if (expression == nullptr) {
            if (get_typtype(column->atttypid) == TYPTYPE_DOMAIN) // which may refuse a null
                domain_check(Datum{0}, true, column->atttypid, nullptr, nullptr);
            continue;
        }
        ExprState *state = ExecPrepareExpr(reinterpret_cast<Expr *>(expression), estate);
        slot->tts_values[i] =
            ExecEvalExprSwitchContext(state, GetPerTupleExprContext(estate), &slot->tts_isnull[i]);
    }
}

void fill_slot(ResultRelInfo *target, EState *estate, TupleTableSlot *slot,
               const row_to_insert &row) {
    int column_count = RelationGetDescr(table_of(target))->natts;
    bool *given = static_cast<bool *>(palloc0(sizeof(bool) * column_count));
    ExecClearTuple(slot);
    memset(slot->tts_isnull, true, sizeof(bool) * column_count);
    for (int i = 0; i < row.value_count; i++) {
        int at = row.values[i].column - 1;
        slot->tts_values[at] = row.values[i].value;
        slot->tts_isnull[at] = row.values[i].is_null;
        given[at] = true;
    }
    if (row.value_count < column_count)
        fill_defaults(target, estate, slot, given);
    ExecStoreVirtualTuple(slot);
    ExecMaterializeSlot(slot);
    slot->tts_tableOid = RelationGetRelid(table_of(target));
}

void check_fixed_columns(ResultRelInfo *target, TupleTableSlot *slot, const row_to_insert &row) {
    for (int i = 0; i < row.value_count; i++) {
        const column_value &given = row.values[i];
        if (!given.is_fixed)
            continue;
        Form_pg_attribute column =
            TupleDescAttr(RelationGetDescr(table_of(target)), given.column - 1);
        bool is_null;
        Datum value = slot_getattr(slot, given.column, &is_null);
        if (is_null || !datum_image_eq(value, given.value, column->attbyval, column->attlen))
            ereport(ERROR,
                    (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                     errmsg("a trigger on table \"%s\" changed column \"%s\" of a new row",
                            RelationGetRelationName(table_of(target)), NameStr(column->attname)),
                     errdetail("The guard's promises are judged by this column.")));
    }
}

void fire_before_row_triggers(ResultRelInfo *target, EState *estate, TupleTableSlot *slot,
                              const row_to_insert &row) {
    if (target->ri_TrigDesc == nullptr || !target->ri_TrigDesc->trig_insert_before_row)
        return;
    if (!ExecBRInsertTriggers(estate, target, slot))
        ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
                        errmsg("a trigger on table \"%s\" suppressed a new row",
                               RelationGetRelationName(table_of(target))),
                        errhint("To refuse a redemption, raise an error in the trigger.")));
    check_fixed_columns(target, slot, row);
    slot->tts_tableOid = RelationGetRelid(table_of(target));
}

void complete_and_check(ResultRelInfo *target, EState *estate, TupleTableSlot *slot) {
    TupleConstr *constraints = RelationGetDescr(table_of(target))->constr;
    if (constraints == nullptr)
        return;
    if (constraints->has_generated_stored)
        ExecComputeStoredGenerated(target, estate, slot, CMD_INSERT);
    ExecConstraints(target, slot, estate);
}

// All unique indexes on the arbiter's columns: while REINDEX CONCURRENTLY runs there are two.
List *find_arbiters(ResultRelInfo *target, const row_to_insert &row) {
    List *arbiters = NIL;
    for (int i = 0; i < target->ri_NumIndices; i++)
        if (is_unique_index_on(target->ri_IndexRelationDescs[i], row.arbiter, row.arbiter_count))
            arbiters = lappend_oid(arbiters, RelationGetRelid(target->ri_IndexRelationDescs[i]));
    return arbiters;
}

// The insertion proper. False if the arbiter refused it; constraints that are deferred and want a
// second look later are left in recheck.
bool write_row(ResultRelInfo *target, EState *estate, TupleTableSlot *slot, List *arbiters,
               List **recheck) {
    bool conflict = false;
    TransactionId self = GetCurrentTransactionId();
    uint32 token = SpeculativeInsertionLockAcquire(self);
    table_tuple_insert_speculative(table_of(target), slot, estate->es_output_cid, 0, nullptr,
                                   token);
    *recheck = insert_index_entries(target, slot, estate, &conflict, arbiters);
    table_tuple_complete_speculative(table_of(target), slot, token, !conflict);
    SpeculativeInsertionLockRelease(self);
    return !conflict;
}

} // namespace

bool insert_row(Oid table, const row_to_insert &row) {
    EState *estate = CreateExecutorState();
    MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
    ResultRelInfo *target = makeNode(ResultRelInfo);
    InitResultRelInfo(target, table_open(table, NoLock), 0, nullptr, 0);
    estate->es_opened_result_relations = lappend(estate->es_opened_result_relations, target);
    estate->es_snapshot = GetActiveSnapshot();
    estate->es_output_cid = GetCurrentCommandId(true);
    CheckCmdReplicaIdentity(table_of(target), CMD_INSERT);

    AfterTriggerBeginQuery();
    TransitionCaptureState *transition =
        MakeTransitionCaptureState(target->ri_TrigDesc, table, CMD_INSERT);
    ExecBSInsertTriggers(estate, target);

    TupleTableSlot *slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(table_of(target)),
                                                  table_slot_callbacks(table_of(target)));
    fill_slot(target, estate, slot, row);
    fire_before_row_triggers(target, estate, slot, row);
    complete_and_check(target, estate, slot);
    ExecOpenIndices(target, false);
    List *recheck = NIL;
    bool inserted = write_row(target, estate, slot, find_arbiters(target, row), &recheck);
    if (inserted)
        ExecARInsertTriggers(estate, target, slot, recheck, transition);
    ExecASInsertTriggers(estate, target, transition);
    AfterTriggerEndQuery(estate);

    ExecResetTupleTable(estate->es_tupleTable, false);
    ExecCloseResultRelations(estate);
    table_close(table_of(target), NoLock);
    MemoryContextSwitchTo(caller);
    FreeExecutorState(estate);
    CommandCounterIncrement();
    return inserted;
}

} // namespace coupon_guard
