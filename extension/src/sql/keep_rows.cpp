// Coupons and redemptions are not dropped along with something else: the extension, a schema, what
// a role owns, a column on which something of the extension hangs (CASCADE). PostgreSQL by itself
// drops an extension's tables whatever is in them, and says nothing.
//
// What is kept is what a dump would keep: rows of the tables that pg_extension_config_dump() was
// told of, as long as they are the extension's. So there are two ways out, each a statement of its
// own: TRUNCATE, and ALTER EXTENSION ... DROP TABLE.
//
// Whatever the command, the server says before a table is dropped (object_access_hook). By then it
// is locked, so no row comes in between. The hook has to be there: an event trigger, which calls a
// function of this library before each command that can drop something, sees to that.

#include "sql/keep_rows.hpp"

#include "pg/scan.hpp"

extern "C" {
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
}

namespace coupon_guard {
namespace {

object_access_hook_type previous_hook = nullptr;

// pg_extension.extconfig: the tables and sequences of which a dump is told.
bool has_in_config(Relation extensions, HeapTuple extension, Oid table) {
    bool is_null;
    Datum config = heap_getattr(extension, Anum_pg_extension_extconfig,
                                RelationGetDescr(extensions), &is_null);
    if (is_null)
        return false;
    Datum *relations;
    int count;
    deconstruct_array(DatumGetArrayTypeP(config), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
                      &relations, nullptr, &count);
    for (int i = 0; i < count; i++)
        if (DatumGetObjectId(relations[i]) == table)
            return true;
    return false;
}

// Whether it is a table of coupon_guard whose rows a dump keeps.
bool is_kept(Oid table) {
    Oid owner = getExtensionOfObject(RelationRelationId, table);
    if (!OidIsValid(owner) || get_rel_relkind(table) != RELKIND_RELATION)
        return false;
    Relation extensions = table_open(ExtensionRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(owner));
    SysScanDesc scan = systable_beginscan(extensions, ExtensionOidIndexId, true, nullptr, 1, &key);
    HeapTuple row = systable_getnext(scan);
    bool is_kept = HeapTupleIsValid(row) &&
                   strcmp(NameStr(reinterpret_cast<Form_pg_extension>(GETSTRUCT(row))->extname),
                          "coupon_guard") == 0 &&
                   has_in_config(extensions, row, table);
    systable_endscan(scan);
    table_close(extensions, AccessShareLock);
    return is_kept;
}

// A row in the newest committed state, or of this transaction. The caller has locked the table.
bool has_rows(Oid relation) {
    Relation table = table_open(relation, NoLock);
    Assert(CheckRelationLockedByMe(table, AccessExclusiveLock, true));
    table_scan scan = begin_table_scan(table);
    bool is_found = next_row(scan);
    end_scan(scan);
    table_close(table, NoLock);
    return is_found;
}

void keep_rows(Oid table) {
    if (creating_extension || !is_kept(table) || !has_rows(table))
        return;
    const char *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
                                                  get_rel_name(table));
    ereport(ERROR,
            (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
             errmsg("cannot drop extension coupon_guard because table %s has rows", name),
             errhint("To give up what is in it, TRUNCATE it first. To keep it, make it a table of "
                     "your own: ALTER EXTENSION coupon_guard DROP TABLE, and DROP SEQUENCE for its "
                     "id.")));
}

void note_access(ObjectAccessType access, Oid catalog, Oid object, int part, void *argument) {
    if (previous_hook != nullptr)
        previous_hook(access, catalog, object, part, argument);
    if (access == OAT_DROP && catalog == RelationRelationId && part == 0)
        keep_rows(object);
}

} // namespace

void register_keep_rows_hook() {
    previous_hook = object_access_hook;
    object_access_hook = note_access;
}

} // namespace coupon_guard

extern "C" {

// That this has been called means that the library is loaded, and the hook registered.
PG_FUNCTION_INFO_V1(coupon_guard_keep_rows);
Datum coupon_guard_keep_rows(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("function \"%s\" was not called by event trigger manager",
                               "coupon_guard_keep_rows")));
    return Datum{0};
}
}
