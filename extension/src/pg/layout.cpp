#include "pg/layout.hpp"

#include "pg/wait.hpp"

extern "C" {
#include "catalog/pg_inherits.h"
#include "catalog/pg_language.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
}

namespace coupon_guard {
namespace {

bool has_default_order(Relation index, int column) {
    Oid type = TupleDescAttr(RelationGetDescr(index), column)->atttypid;
    Oid default_class = GetDefaultOpClass(type, BTREE_AM_OID);
    return index->rd_indoption[column] == 0 && OidIsValid(default_class) &&
           index->rd_opfamily[column] == get_opclass_family(default_class) &&
           index->rd_opcintype[column] == get_opclass_input_type(default_class);
}

bool has_collation_of(Relation index, int column, Relation table, AttrNumber table_column) {
    return index->rd_indcollation[column] ==
           TupleDescAttr(RelationGetDescr(table), table_column - 1)->attcollation;
}

} // namespace

void report_altered_table(Relation table, const char *detail) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" is not as extension coupon_guard made it",
                           RelationGetRelationName(table)),
                    errdetail("%s", detail)));
    pg_unreachable();
}

Relation open_ordinary_table(Oid oid) {
    Relation table = relation_open(oid, NoLock);
    Assert(CheckRelationLockedByMe(table, AccessShareLock, true));
    if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relam != HEAP_TABLE_AM_OID)
        report_altered_table(table, "It must be an ordinary heap table.");
    if (table->rd_rel->relispartition)
        report_altered_table(table, "It is a partition of another table.");
    // The flag stays when the last child goes.
    if (table->rd_rel->relhassubclass && find_inheritance_children(oid, NoLock) != NIL)
        report_altered_table(table, "Other tables inherit from it.");
    return table;
}

AttrNumber find_column(Relation table, const column_shape &shape) {
    AttrNumber number = get_attnum(RelationGetRelid(table), shape.name);
    if (number <= 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        errmsg("column \"%s\" of table \"%s\" does not exist", shape.name,
                               RelationGetRelationName(table))));
    Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), number - 1);
    Oid collation = shape.is_c_collated ? C_COLLATION_OID : get_typcollation(shape.type);
    if (column->atttypid != shape.type || column->atttypmod != -1 ||
        (shape.is_c_collated && column->attcollation != collation))
        report_altered_table(table,
                             psprintf("Column \"%s\" has another type or collation.", shape.name));
    if (column->attgenerated != shape.generated)
        report_altered_table(table, psprintf(shape.generated != '\0'
                                                 ? "Column \"%s\" is no longer generated."
                                                 : "Column \"%s\" is generated.",
                                             shape.name));
    return number;
}

void sort(null_tests &tests) {
    AttrNumber(&columns)[2] = tests.not_null_columns;
    if (columns[1] != 0 && columns[0] > columns[1]) {
        AttrNumber larger = columns[0];
        columns[0] = columns[1];
        columns[1] = larger;
    }
}

bool read_null_tests(List *clauses, null_tests &tests) {
    tests = {};
    ListCell *cell;
    foreach (cell, clauses) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        if (!IsA(clause, NullTest))
            return false;
        NullTest *test = reinterpret_cast<NullTest *>(clause);
        if (!IsA(test->arg, Var) || test->argisrow)
            return false;
        AttrNumber(&places)[2] = tests.not_null_columns;
        AttrNumber &column = test->nulltesttype == IS_NULL ? tests.null_column
                             : places[0] == 0              ? places[0]
                                                           : places[1];
        if (column != 0)
            return false;
        column = reinterpret_cast<Var *>(test->arg)->varattno;
    }
    sort(tests);
    return true;
}

bool has_shape(Relation table, Relation index, const index_shape &shape) {
    Form_pg_index form = index->rd_index;
    if (index->rd_rel->relam != BTREE_AM_OID || !form->indisready || !form->indislive ||
        !form->indimmediate || form->indisexclusion || form->indnullsnotdistinct ||
        form->indisunique != shape.is_unique || form->indnkeyatts != shape.column_count ||
        form->indnatts != shape.column_count)
        return false;
    for (int i = 0; i < shape.column_count; i++)
        if (form->indkey.values[i] != shape.columns[i] || !has_default_order(index, i) ||
            !has_collation_of(index, i, table, shape.columns[i]))
            return false;
    null_tests tests;
    return read_null_tests(RelationGetIndexPredicate(index), tests) &&
           tests.null_column == shape.tests.null_column &&
           tests.not_null_columns[0] == shape.tests.not_null_columns[0] &&
           tests.not_null_columns[1] == shape.tests.not_null_columns[1];
}

Oid find_index(Relation table, const index_shape &shape) {
    Oid found = InvalidOid;
    List *indexes = RelationGetIndexList(table);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = lock_and_open_index(lfirst_oid(cell), AccessShareLock);
        if (index->rd_index->indisvalid && has_shape(table, index, shape))
            found = RelationGetRelid(index);
        index_close(index, AccessShareLock);
        if (OidIsValid(found))
            break;
    }
    list_free(indexes);
    if (!OidIsValid(found))
        report_altered_table(
            table,
            psprintf("It has no index on column \"%s\"%s of the shape that the guard relies on.",
                     NameStr(TupleDescAttr(RelationGetDescr(table), shape.columns[0] - 1)->attname),
                     shape.column_count > 1 ? " and others" : ""));
    return found;
}

Oid find_trigger_function(Oid namespace_id, const char *name) {
    oidvector *no_arguments = buildoidvector(nullptr, 0);
    HeapTuple entry =
        SearchSysCache3(PROCNAMEARGSNSP, CStringGetDatum(name), PointerGetDatum(no_arguments),
                        ObjectIdGetDatum(namespace_id));
    if (!HeapTupleIsValid(entry))
        return InvalidOid;
    Form_pg_proc function = reinterpret_cast<Form_pg_proc>(GETSTRUCT(entry));
    bool is_null;
    Datum symbol = SysCacheGetAttr(PROCNAMEARGSNSP, entry, Anum_pg_proc_prosrc, &is_null);
    bool is_ours = function->prolang == ClanguageId && function->prorettype == TRIGGEROID &&
                   !is_null && strcmp(TextDatumGetCString(symbol), name) == 0;
    Oid found = is_ours ? function->oid : InvalidOid;
    ReleaseSysCache(entry);
    return found;
}

bool is_in_force(Relation table, Oid function, int16 type) {
    const int16 events = TRIGGER_TYPE_EVENT_MASK;
    int found = 0;
    for (int i = 0; table->trigdesc != nullptr && i < table->trigdesc->numtriggers; i++) {
        const Trigger &trigger = table->trigdesc->triggers[i];
        bool is_alike = trigger.tgfoid == function &&
                        (trigger.tgtype & ~events) == (type & ~events) &&
                        (trigger.tgtype & type & events) != 0;
        if (!is_alike || trigger.tgenabled == TRIGGER_DISABLED)
            continue;
        bool is_exact = trigger.tgtype == type && trigger.tgenabled == TRIGGER_FIRES_ALWAYS &&
                        !trigger.tgisinternal && !trigger.tgdeferrable && trigger.tgnargs == 0 &&
                        trigger.tgnattr == 0 && trigger.tgqual == nullptr &&
                        trigger.tgoldtable == nullptr && trigger.tgnewtable == nullptr;
        if (!is_exact || ++found > 1) // one that is called twice would follow twice
            return false;
    }
    return found == 1;
}

uint32 trigger_state(Relation table, Oid function) {
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(RelationGetRelid(table)));
    Relation triggers = table_open(TriggerRelationId, AccessShareLock);
    SysScanDesc scan =
        systable_beginscan(triggers, TriggerRelidNameIndexId, true, nullptr, 1, &key);
    uint32 state = hash_combine(RelationGetRelid(table), function);
    HeapTuple row;
    while (HeapTupleIsValid(row = systable_getnext(scan))) {
        Form_pg_trigger trigger = reinterpret_cast<Form_pg_trigger>(GETSTRUCT(row));
        if (trigger->tgfoid != function)
            continue;
        // Every ALTER writes another version of the row; VACUUM FULL keeps these when it moves it.
        state = hash_combine(state, trigger->oid);
        state = hash_combine(state, HeapTupleHeaderGetRawXmin(row->t_data));
        state = hash_combine(state, HeapTupleHeaderGetRawCommandId(row->t_data));
    }
    systable_endscan(scan);
    table_close(triggers, AccessShareLock);
    return state;
}

static bool is_column(Node *expression, AttrNumber column) {
    return IsA(expression, Var) && reinterpret_cast<Var *>(expression)->varattno == column;
}

static bool is_zero(Node *expression) {
    if (!IsA(expression, Const))
        return false;
    Const *constant = reinterpret_cast<Const *>(expression);
    return constant->consttype == INT4OID && !constant->constisnull &&
           DatumGetInt32(constant->constvalue) == 0;
}

bool compares_with_zero(Node *expression, AttrNumber column, Oid function) {
    if (!IsA(expression, OpExpr))
        return false;
    OpExpr *comparison = reinterpret_cast<OpExpr *>(expression);
    return get_opcode(comparison->opno) == function && list_length(comparison->args) == 2 &&
           is_column(static_cast<Node *>(linitial(comparison->args)), column) &&
           is_zero(static_cast<Node *>(lsecond(comparison->args)));
}

bool applies_to_column(Node *expression, AttrNumber column, Oid function) {
    if (!IsA(expression, FuncExpr))
        return false;
    FuncExpr *call = reinterpret_cast<FuncExpr *>(expression);
    return call->funcid == function && list_length(call->args) == 1 &&
           is_column(static_cast<Node *>(linitial(call->args)), column);
}

} // namespace coupon_guard
