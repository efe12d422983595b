// Insertion follows ExecInsert() of nodeModifyTable.c, with the same order of steps: BEFORE
// triggers, generated columns, constraints, speculative insertion, indexes, AFTER triggers.
//
// Speculative insertion (execIndexing.c has its argument): the row is written with a token, then
// the index entries. If an arbiter shows another row of the same key, ours is killed as if it had
// never been, which logical decoding respects; no rival ever waits for a row so killed longer
// than for its token. Livelock is impossible: of two rivals the first to write its entry in the
// first arbiter finds no other and stays.

#include "pg/write.hpp"

#include "pg/heap_write.hpp"

namespace coupon_guard {
namespace {

// What one write needs of the executor.
struct write_state {
    EState *estate;
    ResultRelInfo *target;
    TransitionCaptureState *transition;
    TupleTableSlot *row;
    MemoryContext caller;
};
static_assert(std::is_trivially_destructible_v<write_state>);

Relation table_of(const write_state &state) {
    return state.target->ri_RelationDesc;
}

const char *name_of(const write_state &state) {
    return RelationGetRelationName(table_of(state));
}

// Takes triggers that call function out of a copy of a table's triggers.
void leave_out_trigger(TriggerDesc *triggers, Oid function) {
    int kept = 0;
    triggers->trig_insert_after_row = triggers->trig_update_after_row =
        triggers->trig_delete_after_row = false;
    for (int i = 0; i < triggers->numtriggers; i++) {
        const Trigger &trigger = triggers->triggers[i];
        if (trigger.tgfoid == function)
            continue;
        // Ours are row triggers. A summary of BEFORE that stays true costs a look at nothing.
        triggers->trig_insert_after_row |= TRIGGER_TYPE_MATCHES(
            trigger.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER, TRIGGER_TYPE_INSERT);
        triggers->trig_update_after_row |= TRIGGER_TYPE_MATCHES(
            trigger.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER, TRIGGER_TYPE_UPDATE);
        triggers->trig_delete_after_row |= TRIGGER_TYPE_MATCHES(
            trigger.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_AFTER, TRIGGER_TYPE_DELETE);
        triggers->triggers[kept++] = trigger;
    }
    triggers->numtriggers = kept;
}

write_state begin_write(const write_plan &plan, CmdType command, Bitmapset *updated_columns) {
    write_state state;
    state.estate = CreateExecutorState();
    state.caller = MemoryContextSwitchTo(state.estate->es_query_cxt);
    Relation table = table_open(plan.table, NoLock);
    Assert(CheckRelationLockedByMe(table, RowExclusiveLock, true));
    init_range_table(state.estate, table, updated_columns);
    state.target = makeNode(ResultRelInfo);
    InitResultRelInfo(state.target, table, 1, nullptr, 0);
    if (state.target->ri_TrigDesc != nullptr && OidIsValid(plan.own_trigger))
        leave_out_trigger(state.target->ri_TrigDesc, plan.own_trigger);
    // AFTER triggers look the table up here.
    state.estate->es_opened_result_relations =
        lappend(state.estate->es_opened_result_relations, state.target);
    state.estate->es_snapshot = GetActiveSnapshot();
    state.estate->es_output_cid = GetCurrentCommandId(true);
    CheckCmdReplicaIdentity(table, command);
    ExecOpenIndices(state.target, false);
    state.row =
        ExecInitExtraTupleSlot(state.estate, RelationGetDescr(table), table_slot_callbacks(table));
    AfterTriggerBeginQuery();
    state.transition = MakeTransitionCaptureState(state.target->ri_TrigDesc, plan.table, command);
    return state;
}

void end_write(write_state &state) {
    AfterTriggerEndQuery(state.estate);
    ExecResetTupleTable(state.estate->es_tupleTable, false);
    ExecCloseResultRelations(state.estate);
    table_close(table_of(state), NoLock);
    MemoryContextSwitchTo(state.caller);
    FreeExecutorState(state.estate);
    CommandCounterIncrement();
}

void store_row(const write_state &state) {
    ExecStoreVirtualTuple(state.row);
    ExecMaterializeSlot(state.row);
    state.row->tts_tableOid = RelationGetRelid(table_of(state));
}

// The transition tables of statement triggers. ExecSimpleRelationUpdate() has fired the row
// triggers and leaves these out, so this comes after it, on a copy of the triggers that shows none
// for rows.
void capture_transition(const write_state &state, ItemPointer old_version) {
    if (state.transition == nullptr)
        return;
    state.target->ri_TrigDesc->trig_update_after_row = false;
    ExecARUpdateTriggers(state.estate, state.target, nullptr, nullptr, old_version, nullptr,
                         state.row, NIL, state.transition, false);
}

void check_fixed_columns(const write_state &state, const column_value *values, int count,
                         const char *which) {
    for (int i = 0; i < count; i++) {
        const column_value &given = values[i];
        if (!given.is_fixed)
            continue;
        Form_pg_attribute column =
            TupleDescAttr(RelationGetDescr(table_of(state)), given.column - 1);
        bool is_null;
        Datum value = slot_getattr(state.row, given.column, &is_null);
        if (is_null != given.is_null ||
            (!is_null && !datum_image_eq(value, given.value, column->attbyval, column->attlen)))
            ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                            errmsg("a trigger on table \"%s\" changed column \"%s\" of a %s row",
                                   name_of(state), NameStr(column->attname), which),
                            errdetail("The guard's promises are judged by this column.")));
    }
}

void fire_before_insert(const write_state &state, const column_value *values, int count) {
    TriggerDesc *triggers = state.target->ri_TrigDesc;
    if (triggers == nullptr || !triggers->trig_insert_before_row)
        return;
    if (!ExecBRInsertTriggers(state.estate, state.target, state.row))
        ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
                        errmsg("a trigger on table \"%s\" suppressed a new row", name_of(state)),
                        errhint("To refuse it, raise an error in the trigger.")));
    check_fixed_columns(state, values, count, "new");
    state.row->tts_tableOid = RelationGetRelid(table_of(state));
}

bool has_forbidden_null(const write_state &state) {
    TupleDesc columns = RelationGetDescr(table_of(state));
    for (int i = 0; i < columns->natts; i++)
        if (TupleDescAttr(columns, i)->attnotnull && slot_attisnull(state.row, i + 1))
            return true;
    return false;
}

// Preparing a CHECK takes longer than all else, so those that are known to hold are left out.
void complete_and_check(const write_state &state, bool checks_are_known) {
    TupleConstr *constraints = RelationGetDescr(table_of(state))->constr;
    if (constraints == nullptr)
        return;
    if (constraints->has_generated_stored)
        ExecComputeStoredGenerated(state.target, state.estate, state.row, CMD_INSERT);
    if (!checks_are_known || has_forbidden_null(state))
        ExecConstraints(state.target, state.row, state.estate);
}

List *arbiters_of(const write_plan &plan) {
    List *arbiters = NIL;
    for (int i = 0; i < plan.arbiter_count; i++)
        arbiters = lappend_oid(arbiters, plan.arbiters[i]);
    return arbiters;
}

// A function of the shop's in an index, said to be immutable, may do what it likes. Were the row
// that is being inserted updated by it, finishing the insertion would make the row its own
// successor: whoever reads it would go round for ever.
void check_still_speculative(const write_state &state) {
    if (!is_still_speculative(table_of(state), state.row->tts_tid))
        ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                        errmsg("a function in an index on table \"%s\" changed the row that is "
                               "being inserted",
                               name_of(state)),
                        errhint("A function in an index must be immutable.")));
}

// The insertion proper. False if an arbiter refused it; constraints that are deferred and want a
// second look later are left in recheck.
bool write_new_row(const write_state &state, List *arbiters, List **recheck) {
    bool conflict = false;
    TransactionId self = GetCurrentTransactionId();
    uint32 token = SpeculativeInsertionLockAcquire(self);
    table_tuple_insert_speculative(table_of(state), state.row, state.estate->es_output_cid, 0,
                                   nullptr, token);
    *recheck = insert_index_entries(state.target, state.row, state.estate, &conflict, arbiters);
    check_still_speculative(state);
    table_tuple_complete_speculative(table_of(state), state.row, token, !conflict);
    SpeculativeInsertionLockRelease(self);
    return !conflict;
}

// ---- inserting ------------------------------------------------------------------------------

struct column_default {
    AttrNumber column;
    ExprState *value;
};

} // namespace

// Nothing of the plan is read once it has begun: a trigger may alter tables.
struct row_writer {
    write_state state;
    List *arbiters;
    bool checks_are_known;
    column_default *defaults; // of columns that rows do not give; null before the first row
    int default_count;
};
static_assert(std::is_trivially_destructible_v<row_writer>);

namespace {

bool is_given(AttrNumber column, const column_value *values, int count) {
    for (int i = 0; i < count; i++)
        if (values[i].column == column)
            return true;
    return false;
}

// Columns that a shop added to the table get their defaults, too.
void prepare_defaults(row_writer &writer, const column_value *values, int count) {
    Relation table = table_of(writer.state);
    TupleDesc columns = RelationGetDescr(table);
    writer.defaults =
        static_cast<column_default *>(palloc(sizeof(column_default) * columns->natts));
    writer.default_count = 0;
    if (count == columns->natts)
        return;
    for (int i = 0; i < columns->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(columns, i);
        if (column->attisdropped || column->attgenerated || is_given(column->attnum, values, count))
            continue;
        Node *expression = build_column_default(table, column->attnum);
        if (expression != nullptr)
            writer.defaults[writer.default_count++] = {
                column->attnum,
                ExecPrepareExpr(reinterpret_cast<Expr *>(expression), writer.state.estate)};
        else if (get_typtype(column->atttypid) == TYPTYPE_DOMAIN) // which may refuse a null
            domain_check(Datum{0}, true, column->atttypid, nullptr, nullptr);
    }
}

void fill_new_row(row_writer &writer, const column_value *values, int count) {
    const write_state &state = writer.state;
    ExecClearTuple(state.row);
    memset(state.row->tts_isnull, true, sizeof(bool) * RelationGetDescr(table_of(state))->natts);
    for (int i = 0; i < count; i++) {
        int at = values[i].column - 1;
        state.row->tts_values[at] = values[i].value;
        state.row->tts_isnull[at] = values[i].is_null;
    }
    if (writer.defaults == nullptr)
        prepare_defaults(writer, values, count);
    for (int i = 0; i < writer.default_count; i++) {
        int at = writer.defaults[i].column - 1;
        state.row->tts_values[at] = ExecEvalExprSwitchContext(writer.defaults[i].value,
                                                              GetPerTupleExprContext(state.estate),
                                                              &state.row->tts_isnull[at]);
    }
    store_row(state);
}

row_writer begin_insertion(const write_plan &plan) {
    row_writer writer;
    writer.state = begin_write(plan, CMD_INSERT, nullptr);
    writer.arbiters = arbiters_of(plan);
    writer.checks_are_known = plan.checks_are_known;
    writer.defaults = nullptr;
    ExecBSInsertTriggers(writer.state.estate, writer.state.target);
    return writer;
}

bool insert_next(row_writer &writer, const column_value *values, int count) {
    const write_state &state = writer.state;
    fill_new_row(writer, values, count);
    fire_before_insert(state, values, count);
    complete_and_check(state, writer.checks_are_known);
    List *recheck = NIL;
    bool inserted = write_new_row(state, writer.arbiters, &recheck);
    if (inserted)
        ExecARInsertTriggers(state.estate, state.target, state.row, recheck, state.transition);
    return inserted;
}

void end_insertion(row_writer &writer) {
    ExecASInsertTriggers(writer.state.estate, writer.state.target, writer.state.transition);
    end_write(writer.state);
}

bool insert_through_executor(const write_plan &plan, const column_value *values, int count) {
    row_writer writer = begin_insertion(plan);
    bool inserted = insert_next(writer, values, count);
    end_insertion(writer);
    return inserted;
}

void report_suppressed_change(const write_state &state) {
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
                    errmsg("a trigger on table \"%s\" suppressed a change", name_of(state)),
                    errhint("To refuse a change, raise an error in the trigger.")));
}

} // namespace

bool insert_row(const write_plan &plan, const column_value *values, int count, open_table *kept) {
    if (!plan.inserts_plainly)
        return insert_through_executor(plan, values, count);
    Datum row[most_plain_columns];
    bool nulls[most_plain_columns];
    memset(nulls, true, sizeof(bool) * plan.column_count);
    for (int i = 0; i < count; i++) {
        row[values[i].column - 1] = values[i].value;
        nulls[values[i].column - 1] = values[i].is_null;
    }
    bool inserted = insert_plainly(plan, row, nulls, kept);
    CommandCounterIncrement();
    return inserted;
}

row_writer *begin_rows(const write_plan &plan) {
    row_writer *writer = static_cast<row_writer *>(palloc(sizeof(row_writer)));
    *writer = begin_insertion(plan);
    MemoryContextSwitchTo(writer->state.caller);
    return writer;
}

bool add_row(row_writer *writer, const column_value *values, int count) {
    MemoryContextSwitchTo(writer->state.estate->es_query_cxt);
    bool inserted = insert_next(*writer, values, count);
    ResetPerTupleExprContext(writer->state.estate);
    MemoryContextSwitchTo(writer->state.caller);
    return inserted;
}

void end_rows(row_writer *writer) {
    MemoryContextSwitchTo(writer->state.estate->es_query_cxt);
    end_insertion(*writer);
    pfree(writer);
}

void update_row(const write_plan &plan, TupleTableSlot *locked, const column_value *values,
                int count) {
    Bitmapset *updated_columns = nullptr;
    for (int i = 0; i < count; i++)
        updated_columns =
            bms_add_member(updated_columns, values[i].column - FirstLowInvalidHeapAttributeNumber);
    write_state state = begin_write(plan, CMD_UPDATE, updated_columns);
    ExecBSUpdateTriggers(state.estate, state.target);
    slot_getallattrs(locked);
    ExecClearTuple(state.row);
    int column_count = RelationGetDescr(table_of(state))->natts;
    memcpy(state.row->tts_values, locked->tts_values, sizeof(Datum) * column_count);
    memcpy(state.row->tts_isnull, locked->tts_isnull, sizeof(bool) * column_count);
    for (int i = 0; i < count; i++) {
        state.row->tts_values[values[i].column - 1] = values[i].value;
        state.row->tts_isnull[values[i].column - 1] = values[i].is_null;
    }
    store_row(state);

    // Fires row triggers, checks constraints, writes the row and its index entries.
    EPQState nobody_changed_it;
    ItemPointerSetInvalid(&state.row->tts_tid);
    init_recheck(&nobody_changed_it, state.estate);
    ExecSimpleRelationUpdate(state.target, state.estate, &nobody_changed_it, locked, state.row);
    EvalPlanQualEnd(&nobody_changed_it);
    if (!ItemPointerIsValid(&state.row->tts_tid) ||
        ItemPointerEquals(&state.row->tts_tid, &locked->tts_tid)) // there is no new version
        report_suppressed_change(state);
    check_fixed_columns(state, values, count, "changed");
    capture_transition(state, &locked->tts_tid);
    ExecASUpdateTriggers(state.estate, state.target, state.transition);
    end_write(state);
}

void delete_row(const write_plan &plan, TupleTableSlot *locked) {
    write_state state = begin_write(plan, CMD_DELETE, nullptr);
    ExecBSDeleteTriggers(state.estate, state.target);
    EPQState nobody_changed_it;
    init_recheck(&nobody_changed_it, state.estate);
    ExecSimpleRelationDelete(state.target, state.estate, &nobody_changed_it, locked);
    EvalPlanQualEnd(&nobody_changed_it);
    ItemPointerData tid = locked->tts_tid;
    if (lock_row(table_of(state), &tid, state.row, LockWaitError) != row_lock::own)
        report_suppressed_change(state);
    ExecASDeleteTriggers(state.estate, state.target, state.transition);
    end_write(state);
}

static row_lock lock_version(Relation table, ItemPointerData at, TupleTableSlot *row,
                             LockWaitPolicy wait, LockTupleMode mode) {
    TM_FailureData failure;
    switch (table_tuple_lock(table, &at, SnapshotAny, row, GetCurrentCommandId(false), mode, wait,
                             0, &failure)) {
    case TM_Ok:
        return row_lock::locked;
    case TM_WouldBlock:
        return row_lock::busy;
    case TM_SelfModified:
    case TM_Invisible:
        return row_lock::own;
    default:
        return row_lock::changed;
    }
}

// Without waiting first: so it is seen whether there is a need to.
row_lock lock_row(Relation table, ItemPointer tid, TupleTableSlot *row, LockWaitPolicy wait,
                  LockTupleMode mode, awaited what) {
    Assert(CheckRelationLockedByMe(table, RowShareLock, true));
    const ItemPointerData at = *tid; // may point into row, which is cleared
    if (wait != LockWaitBlock)
        return lock_version(table, at, row, wait, mode);
    row_lock result = lock_version(table, at, row, LockWaitSkip, mode);
    if (result == row_lock::busy) {
        ExecClearTuple(row);
        while_waiting(what, [&] { result = lock_version(table, at, row, LockWaitBlock, mode); });
    }
    return result;
}

} // namespace coupon_guard
