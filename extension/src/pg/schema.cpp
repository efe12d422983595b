#include "pg/schema.hpp"

extern "C" {
#include "catalog/pg_enum.h"
}

namespace coupon_guard {
namespace {

schema cached;      // meaningful if cached_state is not unknown
bool cached_names;  // the tables' OIDs are known
bool cached_layout; // and so are their columns, indexes, sequence and the enum

// A change to one of our tables, or (InvalidOid) to anything.
void forget_schema(Datum, Oid relation) {
    if (relation == InvalidOid || relation == cached.coupon_table ||
        relation == cached.ledger_table) {
        cached_names = false;
        cached_layout = false;
    }
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

Oid find_unique_index(Relation table, const AttrNumber *columns, int count) {
    Oid found = InvalidOid;
    List *indexes = RelationGetIndexList(table);
    ListCell *cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (index->rd_index->indisvalid && is_unique_index_on(index, columns, count))
            found = RelationGetRelid(index);
        index_close(index, AccessShareLock);
        if (OidIsValid(found))
            break;
    }
    list_free(indexes);
    if (!OidIsValid(found))
        report_altered_table(table, "A unique index that the guard relies on is missing.");
    return found;
}

void check_is_plain_table(Relation table) {
    if (table->rd_rel->relkind != RELKIND_RELATION || table->rd_rel->relam != HEAP_TABLE_AM_OID)
        report_altered_table(table, "It must be an ordinary heap table.");
}

void load_coupon_layout(schema &found) {
    Relation table = table_open(found.coupon_table, NoLock);
    check_is_plain_table(table);
    found.coupon.id = find_column(table, "id", INT8OID);
    found.coupon.code_key = find_column(table, "code_key", TEXTOID, C_COLLATION_OID);
    found.coupon.active = find_column(table, "active", BOOLOID);
    found.coupon.starts_at = find_column(table, "starts_at", TIMESTAMPTZOID);
    found.coupon.expires_at = find_column(table, "expires_at", TIMESTAMPTZOID);
    found.coupon.max_per_user = find_column(table, "max_per_user", INT4OID);
    found.coupon.terms = find_column(table, "terms", JSONBOID);
    found.coupon_key_index = find_unique_index(table, &found.coupon.code_key, 1);
    table_close(table, NoLock);
}

void load_ledger_layout(schema &found) {
    Relation table = table_open(found.ledger_table, NoLock);
    check_is_plain_table(table);
    found.ledger.id = find_column(table, "id", INT8OID);
    found.ledger.coupon_id = find_column(table, "coupon_id", INT8OID);
    found.ledger.user_id = find_column(table, "user_id", TEXTOID, C_COLLATION_OID);
    found.ledger.use_no = find_column(table, "use_no", INT4OID);
    found.ledger.redeemed_at = find_column(table, "redeemed_at", TIMESTAMPTZOID);
    found.ledger.metadata = find_column(table, "metadata", JSONBOID);
    const AttrNumber use[] = {found.ledger.coupon_id, found.ledger.user_id, found.ledger.use_no};
    found.ledger_use_index = find_unique_index(table, use, lengthof(use));
    found.ledger_id_sequence = identity_sequence_of(table, found.ledger.id);
    if (!OidIsValid(found.ledger_id_sequence))
        report_altered_table(table, "Column \"id\" has lost its identity sequence.");
    table_close(table, NoLock);
}

void load_status_values(schema &found) {
    found.status_type =
        GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("coupon_status"),
                        ObjectIdGetDatum(found.namespace_id));
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

} // namespace

bool is_unique_index_on(Relation index, const AttrNumber *columns, int count) {
    Form_pg_index form = index->rd_index;
    if (!form->indisunique || !form->indimmediate || form->indnkeyatts != count ||
        !heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, nullptr))
        return false;
    for (int i = 0; i < count; i++)
        if (form->indkey.values[i] != columns[i])
            return false;
    return true;
}

schema lock_schema(Oid function, LOCKMODE ledger_lock) {
    Oid namespace_id = get_func_namespace(function);
    for (;;) {
        if (!cached_names || cached.namespace_id != namespace_id) {
            cached_layout = false;
            cached.namespace_id = namespace_id;
            cached.coupon_table = find_table(namespace_id, "coupon");
            cached.ledger_table = find_table(namespace_id, "coupon_redemption");
            cached_names = true;
        }
        LockRelationOid(cached.ledger_table, ledger_lock);
        LockRelationOid(cached.coupon_table, AccessShareLock);
        // While we waited for the locks the tables may have been altered, even dropped.
        if (cached_names)
            break;
    }
    if (!cached_layout) {
        schema found = cached;
        load_coupon_layout(found);
        load_ledger_layout(found);
        load_status_values(found);
        // Loading may itself hear of changes, but of none to what it read: that is locked.
        cached = found;
        cached_names = true;
        cached_layout = true;
    }
    return cached;
}

void watch_schema() {
    CacheRegisterRelcacheCallback(forget_schema, Datum{0});
}

} // namespace coupon_guard
