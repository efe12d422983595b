#include "catalog/catalog.hpp"

#include "catalog/code_patterns.hpp"
#include "catalog/invalidation.hpp"
#include "catalog/proof.hpp"

namespace coupon_guard {
namespace {

catalog cached;
bool is_proven;   // cached is as things are
catalog in_proof; // what is to become the next
uint64 proofs_begun;
bool is_proof_outdated; // a table of it has changed meanwhile
installation known;     // the last function that was asked for

// ---- finding ----------------------------------------------------------------------------------

Oid find_table(Oid namespace_id, const char *name) {
    Oid table = get_relname_relid(name, namespace_id);
    if (!OidIsValid(table))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("table \"%s\" of extension coupon_guard does not exist", name),
                        errdetail("It is looked for in schema \"%s\", where the function is that "
                                  "was called.",
                                  get_namespace_name(namespace_id))));
    return table;
}

// Whether the objects are those of a version, or later ones: a status that came with it nobody can
// take away.
bool has_status(Oid namespace_id, coupon_status what) {
    Oid type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("coupon_status"),
                               ObjectIdGetDatum(namespace_id));
    return OidIsValid(type) &&
           SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
                                 CStringGetDatum(status_labels[static_cast<int>(what)]));
}

void find_tables(catalog &found) {
    found.ledger_table = find_table(found.namespace_id, "coupon_redemption");
    found.coupon_table = find_table(found.namespace_id, "coupon");
    found.quota_table = find_table(found.namespace_id, "coupon_quota");
    found.is_updated = has_status(found.namespace_id, coupon_status::throttled);
    if (found.is_updated)
        found.campaign_table = find_table(found.namespace_id, "campaign");
    found.has_rights = has_status(found.namespace_id, coupon_status::unavailable);
    if (!found.has_rights)
        return;
    found.transfer_table = find_table(found.namespace_id, "coupon_transfer");
    found.shard_table = find_table(found.namespace_id, "coupon_shard");
}

bool has_same_tables(const catalog &one, const catalog &other) {
    return one.coupon_table == other.coupon_table && one.ledger_table == other.ledger_table &&
           one.quota_table == other.quota_table && one.campaign_table == other.campaign_table &&
           one.transfer_table == other.transfer_table && one.shard_table == other.shard_table;
}

// Finds and proves what is to be in in_proof. False if a table has changed meanwhile, or if another
// proof has been made within: the server simplifies an index's expressions when they are read, and
// a function of the shop's in one, said to be immutable, may redeem. The tables are locked only so
// long: a lock that is taken later shows whatever has changed since.
bool find_and_prove(Oid namespace_id) {
    const uint64 self = ++proofs_begun;
    memset(&in_proof, 0, sizeof in_proof);
    is_proof_outdated = false;
    in_proof.namespace_id = namespace_id;
    find_tables(in_proof);
    const Oid locked[] = {in_proof.ledger_table, in_proof.coupon_table,   in_proof.campaign_table,
                          in_proof.quota_table,  in_proof.transfer_table, in_proof.shard_table};
    for (Oid table : locked)
        if (OidIsValid(table))
            lock_relation(table, AccessShareLock);
    catalog again = in_proof; // by their names, which are theirs as long as they are locked
    find_tables(again);
    bool is_same = has_same_tables(in_proof, again);
    if (is_same)
        prove(in_proof);
    for (Oid table : locked)
        if (OidIsValid(table))
            UnlockRelationOid(table, AccessShareLock);
    return is_same && !is_proof_outdated && self == proofs_begun;
}

// The function that is running may have gone while it waited, and another extension with it.
void check_function_exists(Oid function) {
    if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                        errmsg("the function that was called does not exist any more"),
                        errdetail("Extension coupon_guard was dropped, or made anew, meanwhile.")));
}

void load(const installation &guard) {
    is_proven = false;
    do {
        CHECK_FOR_INTERRUPTS();
        check_function_exists(guard.function);
    } while (!find_and_prove(guard.namespace_id));
    if (!has_same_tables(in_proof, cached) ||
        in_proof.returns_relation != cached.returns_relation ||
        in_proof.changes_relation != cached.changes_relation)
        note_invalidation(InvalidOid, cached); // nothing was noted of these tables
    is_proven = false;                         // which a proof within another may have set
    keep_checked_patterns(in_proof);
    cached = in_proof;
    is_proven = true;
}

bool is_known(Oid namespace_id) {
    return is_proven && cached.namespace_id == namespace_id;
}

installation describe(Oid function) {
    if (function == known.function)
        return known;
    HeapTuple entry = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    if (!HeapTupleIsValid(entry))
        check_function_exists(function); // reports that it does not
    Form_pg_proc form = reinterpret_cast<Form_pg_proc>(GETSTRUCT(entry));
    known = {function, form->pronamespace, form->prorettype, nullptr};
    ReleaseSysCache(entry);
    return known;
}

// ---- invalidation -----------------------------------------------------------------------------

bool concerns(const catalog &tables, Oid relation) {
    return relation == InvalidOid || relation == tables.coupon_table ||
           relation == tables.campaign_table || relation == tables.ledger_table ||
           relation == tables.quota_table || relation == tables.transfer_table ||
           relation == tables.shard_table;
}

void note_relation_change(Datum, Oid relation) {
    if (concerns(cached, relation))
        is_proven = false;
    if (concerns(in_proof, relation))
        is_proof_outdated = true;
    note_invalidation(relation, cached);
}

void note_function_change(Datum, int, uint32) {
    known.function = InvalidOid;
    is_proven = false;
}

} // namespace

const catalog &catalog_of(const installation &guard) {
    if (!is_known(guard.namespace_id))
        load(guard);
    return cached;
}

const catalog &lock_table(const installation &guard, Oid catalog::*table, LOCKMODE mode) {
    for (;;) {
        Oid locked = catalog_of(guard).*table;
        lock_relation(locked, mode);
        const catalog &now = catalog_of(guard);
        if (now.*table == locked)
            return now;
        UnlockRelationOid(locked, mode);
    }
}

installation open_guard(Oid function, LOCKMODE ledger_lock) {
    // Taking a lock that the transaction has already would not listen.
    AcceptInvalidationMessages();
    const installation guard = describe(function);
    for (;;) {
        // The lock first, for proving takes weaker ones.
        Oid locked = is_known(guard.namespace_id)
                         ? cached.ledger_table
                         : find_table(guard.namespace_id, "coupon_redemption");
        lock_relation(locked, ledger_lock);
        if (catalog_of(guard).ledger_table == locked)
            return guard;
        UnlockRelationOid(locked, ledger_lock);
    }
}

bool is_still_open(const installation &guard) {
    AcceptInvalidationMessages();
    return guard.function == known.function && is_known(guard.namespace_id) &&
           guard.ledger->table != nullptr &&
           RelationGetRelid(guard.ledger->table) == cached.ledger_table;
}

void register_catalog_callbacks() {
    CacheRegisterRelcacheCallback(note_relation_change, Datum{0});
    CacheRegisterSyscacheCallback(PROCOID, note_function_change, Datum{0});
}

} // namespace coupon_guard
