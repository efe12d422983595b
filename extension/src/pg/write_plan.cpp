#include "pg/write_plan.hpp"

#include "pg/wait.hpp"

namespace coupon_guard {
namespace {

// Where a column stands in the rules; -1: it is the shop's own.
int place_of(const write_rules &rules, AttrNumber column) {
    for (int i = 0; i < rules.column_count; i++)
        if (rules.columns[i] == column)
            return i;
    return -1;
}

// Whether the column gets its value without the executor: from the guard, or none at all.
bool is_plain_column(const write_rules &rules, Form_pg_attribute column, bool &is_foreign) {
    int place = place_of(rules, column->attnum);
    if (place >= 0)
        return !column->attnotnull || place < rules.never_null_count;
    if (column->attisdropped)
        return true;
    is_foreign = true;
    return !column->attnotnull && !column->atthasdef && column->attgenerated == '\0' &&
           column->attidentity == '\0' && get_typtype(column->atttypid) != TYPTYPE_DOMAIN;
}

bool is_known(const write_rules &rules, Node *expression) {
    for (int i = 0; i < rules.check_count; i++) {
        const known_check &check = rules.checks[i];
        if (check.with_zero ? compares_with_zero(expression, check.column, check.function)
                            : applies_to_column(expression, check.column, check.function))
            return true;
    }
    return false;
}

bool has_known_checks(Relation table, const write_rules &rules) {
    const TupleConstr *constraints = RelationGetDescr(table)->constr;
    for (int i = 0; constraints != nullptr && i < constraints->num_check; i++)
        if (!is_known(rules, static_cast<Node *>(stringToNode(constraints->check[i].ccbin))))
            return false;
    return true;
}

// Whether a trigger, other than the guard's own, fires on one of these events.
bool has_trigger_on(Relation table, const write_rules &rules, int16 events) {
    for (int i = 0; table->trigdesc != nullptr && i < table->trigdesc->numtriggers; i++) {
        const Trigger &trigger = table->trigdesc->triggers[i];
        if (trigger.tgfoid != rules.own_trigger && (trigger.tgtype & events) != 0 &&
            trigger.tgenabled != TRIGGER_DISABLED)
            return true;
    }
    return false;
}

bool is_plain_index(Relation index, null_tests &tests) {
    const FormData_pg_index &form = *index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && form.indimmediate && !form.indisexclusion &&
           RelationGetIndexExpressions(index) == NIL &&
           read_null_tests(RelationGetIndexPredicate(index), tests);
}

int arbitration_of(Relation table, Relation index, const write_rules &rules) {
    for (int i = 0; i < rules.arbiter_count; i++)
        if (has_shape(table, index, rules.arbiters[i]))
            return i;
    return -1;
}

plain_index describe(Relation index, const null_tests &tests, bool arbitrates) {
    plain_index plain = {RelationGetRelid(index),
                         index->rd_index->indisunique,
                         arbitrates,
                         tests,
                         index->rd_index->indnatts,
                         {}};
    for (int i = 0; i < plain.column_count; i++)
        plain.columns[i] = index->rd_index->indkey.values[i];
    return plain;
}

void report_too_many_arbiters(Relation table) {
    report_altered_table(table, "It has too many indexes of one shape.");
}

// The indexes that arbitrate in a given order of shapes (-1: the others). False if one is not
// plain, or there are too many.
bool add_indexes(Relation table, List *indexes, const write_rules &rules, int arbitration,
                 write_plan &plan) {
    bool all_plain = true;
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = lock_and_open_index(lfirst_oid(cell), AccessShareLock);
        if (index->rd_index->indisready && arbitration_of(table, index, rules) == arbitration) {
            null_tests tests;
            bool arbitrates = arbitration >= 0;
            if (arbitrates) {
                if (plan.arbiter_count == most_plain_indexes)
                    report_too_many_arbiters(table);
                plan.arbiters[plan.arbiter_count++] = RelationGetRelid(index);
            }
            if (plan.index_count < most_plain_indexes && is_plain_index(index, tests))
                plan.indexes[plan.index_count++] = describe(index, tests, arbitrates);
            else
                all_plain = false;
        }
        index_close(index, AccessShareLock);
    }
    return all_plain;
}

bool add_all_indexes(Relation table, const write_rules &rules, write_plan &plan) {
    List *indexes = RelationGetIndexList(table);
    bool all_plain = true;
    for (int i = 0; i < rules.arbiter_count; i++)
        all_plain &= add_indexes(table, indexes, rules, i, plan);
    all_plain &= add_indexes(table, indexes, rules, -1, plan);
    list_free(indexes);
    return all_plain;
}

} // namespace

void make_write_plan(Relation table, const write_rules &rules, write_plan &plan) {
    TupleDesc columns = RelationGetDescr(table);
    memset(&plan, 0, sizeof plan);
    plan.table = RelationGetRelid(table);
    plan.own_trigger = rules.own_trigger;
    plan.column_count = columns->natts;
    plan.checks_are_known = has_known_checks(table, rules);
    bool is_plain = add_all_indexes(table, rules, plan) && plan.checks_are_known &&
                    columns->natts <= most_plain_columns;
    bool has_foreign = false;
    for (int i = 0; i < columns->natts; i++)
        is_plain &= is_plain_column(rules, TupleDescAttr(columns, i), has_foreign);
    plan.inserts_plainly = is_plain && !has_trigger_on(table, rules, TRIGGER_TYPE_INSERT);
    plan.changes_plainly = is_plain && !has_foreign &&
                           !has_trigger_on(table, rules, TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE);
}

} // namespace coupon_guard
