#include "catalog.hpp"

extern "C" {
#include "catalog/pg_am.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_trigger.h"
#include "nodes/primnodes.h"
#include "parser/parse_func.h"
}

namespace coupon_guard {
namespace {

schema cached;      // meaningful as far as the next two say
bool cached_names;  // the tables' OIDs are known
bool cached_view;   // the view's OID is known
bool cached_layout; // and so are their columns, indexes, triggers and the enum
uint64 coupon_changes;
uint64 unit_returns;

// A change to one of our relations, or (InvalidOid) to anything. That a coupon has changed is said
// in the name of its table. That units came back, in the name of the view: nothing that a
// redemption needs is built anew for it.
void hear_change(Datum, Oid relation) {
    bool is_any = relation == InvalidOid;
    bool is_view = is_any || relation == cached.usage_view;
    bool is_coupon = is_any || relation == cached.coupon_table;
    bool is_table = is_coupon || relation == cached.ledger_table || relation == cached.quota_table;
    if (is_table)
        cached_names = cached_layout = false;
    if (is_view)
        cached_view = false;
    if (is_coupon)
        coupon_changes++;
    if (is_table || is_view) // a table that is altered, its triggers off perhaps, may hide returns
        unit_returns++;
}

void announce_change(Oid relation) {
    SharedInvalidationMessage message;
    memset(&message, 0, sizeof message); // padding included: it is copied to shared memory
    message.rc.id = SHAREDINVALRELCACHE_ID;
    message.rc.dbId = MyDatabaseId;
    message.rc.relId = relation;
    SendSharedInvalidMessages(&message, 1);
}

Oid find_table(Oid namespace_id, const char *name) {
    Oid table = get_relname_relid(name, namespace_id);
    if (!OidIsValid(table))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("table \"%s\" of extension coupon_guard does not exist", name)));
    return table;
}

[[noreturn]] void report_altered_table(Relation table, const char *detail) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("table \"%s\" is not as extension coupon_guard made it",
                           RelationGetRelationName(table)),
                    errdetail("%s", detail)));
    pg_unreachable();
}

// The number of a column, which must be of this type (and text of the collation "C").
AttrNumber find_column(Relation table, const char *name, Oid type, Oid collation = InvalidOid) {
    AttrNumber number = get_attnum(RelationGetRelid(table), name);
    if (number <= 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        errmsg("column \"%s\" of table \"%s\" does not exist", name,
                               RelationGetRelationName(table))));
    Form_pg_attribute column = TupleDescAttr(RelationGetDescr(table), number - 1);
    if (column->atttypid != type || (OidIsValid(collation) && column->attcollation != collation))
        report_altered_table(table, psprintf("Column \"%s\" has another type or collation.", name));
    return number;
}

Oid find_index(Relation table, const index_shape &shape) {
    Oid found = InvalidOid;
    List *indexes = RelationGetIndexList(table);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (index->rd_index->indisvalid && has_shape(index, shape))
            found = RelationGetRelid(index);
        index_close(index, AccessShareLock);
        if (OidIsValid(found))
            break;
    }
    list_free(indexes);
    if (!OidIsValid(found))
        report_altered_table(table, "An index that the guard relies on is missing.");
    return found;
}

Relation open_plain_table(Oid oid) {
    Relation table = table_open(oid, AccessShareLock);
    if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relam != HEAP_TABLE_AM_OID)
        report_altered_table(table, "It must be an ordinary heap table.");
    return table;
}

Oid find_function(Oid namespace_id, const char *name) {
    List *qualified =
        list_make2(makeString(get_namespace_name(namespace_id)), makeString(pstrdup(name)));
    return LookupFuncName(qualified, 0, nullptr, true);
}

// Whether a trigger calling function is enabled on table, for the origin of changes and for
// replicas of them alike.
bool is_announced(Relation table, Oid function) {
    bool for_origin = false;
    bool for_replica = false;
    for (int i = 0; table->trigdesc != nullptr && i < table->trigdesc->numtriggers; i++) {
        const Trigger &trigger = table->trigdesc->triggers[i];
        bool is_complete = TRIGGER_FOR_UPDATE(trigger.tgtype) && TRIGGER_FOR_DELETE(trigger.tgtype);
        if (trigger.tgfoid != function || !is_complete || trigger.tgqual != nullptr)
            continue;
        bool is_row = TRIGGER_FOR_ROW(trigger.tgtype);
        bool on_origin = trigger.tgenabled == TRIGGER_FIRES_ON_ORIGIN ||
                         trigger.tgenabled == TRIGGER_FIRES_ALWAYS;
        bool on_replica = trigger.tgenabled == TRIGGER_FIRES_ON_REPLICA ||
                          trigger.tgenabled == TRIGGER_FIRES_ALWAYS;
        for_origin |= on_origin;
        for_replica |= on_replica && is_row; // a replica applies changes row by row
    }
    return for_origin && for_replica;
}

void load_coupon_layout(schema &found) {
    Relation table = open_plain_table(found.coupon_table);
    found.coupon.id = find_column(table, "id", INT8OID);
    found.coupon.code = find_column(table, "code", TEXTOID);
    found.coupon.code_key = find_column(table, "code_key", TEXTOID, C_COLLATION_OID);
    found.coupon.active = find_column(table, "active", BOOLOID);
    found.coupon.starts_at = find_column(table, "starts_at", TIMESTAMPTZOID);
    found.coupon.expires_at = find_column(table, "expires_at", TIMESTAMPTZOID);
    found.coupon.max_redemptions = find_column(table, "max_redemptions", INT8OID);
    found.coupon.max_per_user = find_column(table, "max_per_user", INT4OID);
    found.coupon.terms = find_column(table, "terms", JSONBOID);
    found.coupon_key_index = find_index(table, {true, {found.coupon.code_key}, 1, 0, 0});
    found.coupon_id_index = find_index(table, {true, {found.coupon.id}, 1, 0, 0});
    found.announces_changes =
        is_announced(table, find_function(found.namespace_id, "coupon_guard_announce_change"));
    table_close(table, NoLock);
}

// Whether the ledger has nothing that only the executor knows how to treat.
bool is_plain_ledger(Relation table, Oid own_trigger) {
    constexpr int own_columns = 10;
    constexpr int own_not_null = 5;
    constexpr int own_defaults = 1;
    constexpr int own_indexes = 5;
    TupleDesc columns = RelationGetDescr(table);
    if (columns->natts != own_columns || columns->constr == nullptr ||
        columns->constr->num_defval != own_defaults || columns->constr->num_check > 0 ||
        columns->constr->has_generated_stored)
        return false;
    int not_null = 0;
    for (int i = 0; i < columns->natts; i++)
        not_null += TupleDescAttr(columns, i)->attnotnull;
    if (not_null != own_not_null)
        return false;
    for (int i = 0; table->trigdesc != nullptr && i < table->trigdesc->numtriggers; i++)
        if (table->trigdesc->triggers[i].tgfoid != own_trigger)
            return false;
    List *indexes = RelationGetIndexList(table);
    bool is_plain = list_length(indexes) == own_indexes;
    list_free(indexes);
    return is_plain;
}

void load_ledger_layout(schema &found) {
    Relation table = open_plain_table(found.ledger_table);
    ledger_columns &ledger = found.ledger;
    ledger.id = find_column(table, "id", INT8OID);
    ledger.coupon_id = find_column(table, "coupon_id", INT8OID);
    ledger.user_id = find_column(table, "user_id", TEXTOID, C_COLLATION_OID);
    ledger.use_no = find_column(table, "use_no", INT4OID);
    ledger.redeemed_at = find_column(table, "redeemed_at", TIMESTAMPTZOID);
    ledger.hold_expires_at = find_column(table, "hold_expires_at", TIMESTAMPTZOID);
    ledger.voided_at = find_column(table, "voided_at", TIMESTAMPTZOID);
    ledger.void_reason = find_column(table, "void_reason", TEXTOID);
    ledger.request_id = find_column(table, "request_id", TEXTOID, C_COLLATION_OID);
    ledger.metadata = find_column(table, "metadata", JSONBOID);
    found.ledger_id_index = find_index(table, {true, {ledger.id}, 1, 0, 0});
    found.ledger_use_index = find_index(table, use_index_shape(ledger));
    found.ledger_request_index = find_index(table, request_index_shape(ledger));
    found.ledger_hold_index = find_index(table, {false,
                                                 {ledger.coupon_id, ledger.hold_expires_at},
                                                 2,
                                                 ledger.voided_at,
                                                 ledger.hold_expires_at});
    found.ledger_voided_index =
        find_index(table, {false, {ledger.coupon_id}, 1, 0, ledger.voided_at});
    found.ledger_id_sequence = identity_sequence_of(table, ledger.id);
    if (!OidIsValid(found.ledger_id_sequence))
        report_altered_table(table, "Column \"id\" has lost its identity sequence.");
    found.ledger_trigger = find_function(found.namespace_id, "coupon_guard_follow_ledger");
    found.is_plain_ledger = is_plain_ledger(table, found.ledger_trigger);
    table_close(table, NoLock);
}

void load_quota_layout(schema &found) {
    Relation table = open_plain_table(found.quota_table);
    found.quota.coupon_id = find_column(table, "coupon_id", INT8OID);
    found.quota.stripe = find_column(table, "stripe", INT4OID);
    found.quota.remaining = find_column(table, "remaining", INT8OID);
    if (RelationGetDescr(table)->natts != 3)
        report_altered_table(table, "It must have no column more.");
    found.quota_index =
        find_index(table, {true, {found.quota.coupon_id, found.quota.stripe}, 2, 0, 0});
    table_close(table, NoLock);
}

Oid find_type(Oid namespace_id, const char *name) {
    Oid type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
                               ObjectIdGetDatum(namespace_id));
    if (!OidIsValid(type))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                        errmsg("type \"%s\" of extension coupon_guard does not exist", name)));
    return type;
}

void load_types(schema &found) {
    found.redeem_answer_type = find_type(found.namespace_id, "coupon_redeem_answer");
    found.hold_answer_type = find_type(found.namespace_id, "coupon_hold_answer");
    found.check_answer_type = find_type(found.namespace_id, "coupon_check_answer");
    found.status_type = find_type(found.namespace_id, "coupon_status");
    for (int i = 0; i < status_count; i++) {
        found.status_values[i] =
            GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(found.status_type),
                            CStringGetDatum(status_labels[i]));
        if (!OidIsValid(found.status_values[i]))
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                            errmsg("type \"coupon_status\" has no value \"%s\"", status_labels[i]),
                            errhint("Run ALTER EXTENSION coupon_guard UPDATE.")));
    }
}

// A predicate is one null test or two joined by AND; clauses come as a flat list.
bool has_predicate(List *clauses, const index_shape &shape) {
    int expected = (shape.null_column != 0) + (shape.not_null_column != 0);
    if (list_length(clauses) != expected)
        return false;
    ListCell *cell;
    foreach (cell, clauses) {
        Node *clause = static_cast<Node *>(lfirst(cell));
        if (!IsA(clause, NullTest))
            return false;
        NullTest *test = reinterpret_cast<NullTest *>(clause);
        if (!IsA(test->arg, Var))
            return false;
        AttrNumber column = reinterpret_cast<Var *>(test->arg)->varattno;
        AttrNumber wanted =
            test->nulltesttype == IS_NULL ? shape.null_column : shape.not_null_column;
        if (column != wanted)
            return false;
    }
    return true;
}

} // namespace

bool has_shape(Relation index, const index_shape &shape) {
    Form_pg_index form = index->rd_index;
    if (index->rd_rel->relam != BTREE_AM_OID || !form->indisready || !form->indimmediate ||
        form->indisunique != shape.is_unique || form->indnkeyatts != shape.column_count)
        return false;
    for (int i = 0; i < shape.column_count; i++)
        if (form->indkey.values[i] != shape.columns[i])
            return false;
    return has_predicate(RelationGetIndexPredicate(index), shape);
}

index_shape use_index_shape(const ledger_columns &ledger) {
    return {true, {ledger.coupon_id, ledger.user_id, ledger.use_no}, 3, ledger.voided_at, 0};
}

index_shape request_index_shape(const ledger_columns &ledger) {
    return {true, {ledger.user_id, ledger.request_id}, 2, 0, ledger.request_id};
}

schema lock_schema(Oid function, LOCKMODE ledger_lock) {
    // Taking a lock that the transaction has already would not listen.
    AcceptInvalidationMessages();
    for (;;) {
        Oid namespace_id = get_func_namespace(function);
        if (!cached_names || cached.namespace_id != namespace_id) {
            cached_layout = false;
            cached.namespace_id = namespace_id;
            cached.coupon_table = find_table(namespace_id, "coupon");
            cached.ledger_table = find_table(namespace_id, "coupon_redemption");
            cached.quota_table = find_table(namespace_id, "coupon_quota");
            cached_names = true;
            cached_view = false;
        }
        if (!cached_view) {
            cached.usage_view = find_table(namespace_id, "coupon_usage");
            cached_view = true;
        }
        cached.function = function;
        LockRelationOid(cached.ledger_table, ledger_lock);
        // While we waited for the lock the tables may have been altered, even dropped.
        if (!cached_names)
            continue;
        if (cached_layout)
            return cached;
        schema found = cached;
        load_coupon_layout(found);
        load_ledger_layout(found);
        load_quota_layout(found);
        load_types(found);
        if (!cached_names)
            continue; // another change was heard of while we looked
        cached = found;
        cached_layout = true;
    }
}

void announce_coupon_change(const schema &objects) {
    announce_change(objects.coupon_table);
}

uint64 coupon_changes_heard() {
    return coupon_changes;
}

void announce_unit_return(const schema &objects) {
    announce_change(objects.usage_view);
}

uint64 unit_returns_heard() {
    return unit_returns;
}

void watch_schema() {
    CacheRegisterRelcacheCallback(hear_change, Datum{0});
}

} // namespace coupon_guard
