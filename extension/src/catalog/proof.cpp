#include "catalog/proof.hpp"

#include "catalog/code_patterns.hpp"

extern "C" {
#include "catalog/pg_enum.h"
#include "common/hashfn.h"
}

namespace coupon_guard {
namespace {

// ---- columns ----------------------------------------------------------------------------------

// The version that a column came with: 0.1.0, 0.2.0, 0.3.0.
enum class since : unsigned char { first, campaigns, rights };

template <typename Columns>
struct column_rule {
    AttrNumber Columns::*number;
    column_shape shape;
    since added = since::first;
};

constexpr column_rule<coupon_columns> coupon_rules[] = {
    {&coupon_columns::id, {"id", INT8OID, false, '\0'}},
    {&coupon_columns::code, {"code", TEXTOID, false, '\0'}},
    {&coupon_columns::code_key, {"code_key", TEXTOID, true, ATTRIBUTE_GENERATED_STORED}},
    {&coupon_columns::active, {"active", BOOLOID, false, '\0'}},
    {&coupon_columns::starts_at, {"starts_at", TIMESTAMPTZOID, false, '\0'}},
    {&coupon_columns::expires_at, {"expires_at", TIMESTAMPTZOID, false, '\0'}},
    {&coupon_columns::max_redemptions, {"max_redemptions", INT8OID, false, '\0'}},
    {&coupon_columns::max_per_user, {"max_per_user", INT4OID, false, '\0'}},
    {&coupon_columns::stripes, {"stripes", INT4OID, false, '\0'}},
    {&coupon_columns::terms, {"terms", JSONBOID, false, '\0'}},
    {&coupon_columns::holder, {"holder", TEXTOID, true, '\0'}, since::campaigns},
    {&coupon_columns::budget, {"budget", INT8OID, false, '\0'}, since::campaigns},
    {&coupon_columns::campaign_id, {"campaign_id", INT8OID, false, '\0'}, since::campaigns},
    {&coupon_columns::rights, {"rights", INT8OID, false, '\0'}, since::rights},
    {&coupon_columns::budget_rights, {"budget_rights", INT8OID, false, '\0'}, since::rights},
};

constexpr column_rule<campaign_columns> campaign_rules[] = {
    {&campaign_columns::id, {"id", INT8OID, false, '\0'}, since::campaigns},
    {&campaign_columns::name, {"name", TEXTOID, false, '\0'}, since::campaigns},
    {&campaign_columns::name_key,
     {"name_key", TEXTOID, true, ATTRIBUTE_GENERATED_STORED},
     since::campaigns},
    {&campaign_columns::active, {"active", BOOLOID, false, '\0'}, since::campaigns},
    {&campaign_columns::starts_at, {"starts_at", TIMESTAMPTZOID, false, '\0'}, since::campaigns},
    {&campaign_columns::expires_at, {"expires_at", TIMESTAMPTZOID, false, '\0'}, since::campaigns},
    {&campaign_columns::max_redemptions,
     {"max_redemptions", INT8OID, false, '\0'},
     since::campaigns},
    {&campaign_columns::max_per_user, {"max_per_user", INT4OID, false, '\0'}, since::campaigns},
    {&campaign_columns::budget, {"budget", INT8OID, false, '\0'}, since::campaigns},
    {&campaign_columns::terms, {"terms", JSONBOID, false, '\0'}, since::campaigns},
    {&campaign_columns::rights, {"rights", INT8OID, false, '\0'}, since::rights},
    {&campaign_columns::budget_rights, {"budget_rights", INT8OID, false, '\0'}, since::rights},
};

constexpr column_rule<ledger_columns> ledger_rules[] = {
    {&ledger_columns::id, {"id", INT8OID, false, '\0'}},
    {&ledger_columns::coupon_id, {"coupon_id", INT8OID, false, '\0'}},
    {&ledger_columns::user_id, {"user_id", TEXTOID, true, '\0'}},
    {&ledger_columns::use_no, {"use_no", INT4OID, false, '\0'}},
    {&ledger_columns::redeemed_at, {"redeemed_at", TIMESTAMPTZOID, false, '\0'}},
    {&ledger_columns::hold_expires_at, {"hold_expires_at", TIMESTAMPTZOID, false, '\0'}},
    {&ledger_columns::voided_at, {"voided_at", TIMESTAMPTZOID, false, '\0'}},
    {&ledger_columns::void_reason, {"void_reason", TEXTOID, false, '\0'}},
    {&ledger_columns::request_id, {"request_id", TEXTOID, true, '\0'}},
    {&ledger_columns::metadata, {"metadata", JSONBOID, false, '\0'}},
    {&ledger_columns::amount, {"amount", INT8OID, false, '\0'}, since::campaigns},
    {&ledger_columns::campaign_id, {"campaign_id", INT8OID, false, '\0'}, since::campaigns},
    {&ledger_columns::campaign_use_no, {"campaign_use_no", INT4OID, false, '\0'}, since::campaigns},
};
constexpr int ledger_never_null = 5; // the first ones
constexpr int ledger_new_columns = 3;

constexpr column_rule<quota_columns> quota_rules[] = {
    {&quota_columns::owner_id, {"owner_id", INT8OID, false, '\0'}},
    {&quota_columns::kind, {"kind", CHAROID, false, '\0'}},
    {&quota_columns::stripe, {"stripe", INT4OID, false, '\0'}},
    {&quota_columns::generation, {"generation", INT4OID, false, '\0'}},
    {&quota_columns::remaining, {"remaining", INT8OID, false, '\0'}},
};

constexpr column_rule<transfer_columns> transfer_rules[] = {
    {&transfer_columns::transfer_id, {"transfer_id", UUIDOID, false, '\0'}},
    {&transfer_columns::direction, {"direction", CHAROID, false, '\0'}},
    {&transfer_columns::kind, {"kind", CHAROID, false, '\0'}},
    {&transfer_columns::owner_id, {"owner_id", INT8OID, false, '\0'}},
    {&transfer_columns::units, {"units", INT8OID, false, '\0'}},
    {&transfer_columns::transfer_no, {"transfer_no", INT8OID, false, '\0'}},
    {&transfer_columns::peer, {"peer", TEXTOID, true, '\0'}},
    {&transfer_columns::made_at, {"made_at", TIMESTAMPTZOID, false, '\0'}},
    {&transfer_columns::settled_at, {"settled_at", TIMESTAMPTZOID, false, '\0'}},
};

constexpr column_rule<shard_columns> shard_rules[] = {
    {&shard_columns::number, {"number", INT4OID, false, '\0'}},
    {&shard_columns::name, {"name", TEXTOID, true, '\0'}},
};

bool is_in(const catalog &found, since added) {
    return added == since::first || (added == since::campaigns && found.is_updated) ||
           (added == since::rights && found.has_rights);
}

template <typename Columns, int count>
Columns find_columns(Relation table, const column_rule<Columns> (&rules)[count],
                     const catalog &found) {
    Columns columns;
    for (const column_rule<Columns> &rule : rules)
        columns.*rule.number =
            is_in(found, rule.added) ? find_column(table, rule.shape) : AttrNumber{0};
    return columns;
}

// ---- proving ----------------------------------------------------------------------------------

Oid find_key_function(Oid namespace_id) {
    const Oid argument = TEXTOID;
    return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("coupon_key"),
                           PointerGetDatum(buildoidvector(&argument, 1)),
                           ObjectIdGetDatum(namespace_id));
}

index_shape use_index_shape(const ledger_columns &ledger) {
    return {true, {ledger.coupon_id, ledger.user_id, ledger.use_no}, 3, {ledger.voided_at, {0, 0}}};
}

index_shape request_index_shape(const ledger_columns &ledger) {
    return {true, {ledger.user_id, ledger.request_id}, 2, {0, {ledger.request_id, 0}}};
}

index_shape campaign_use_index_shape(const ledger_columns &ledger) {
    return {true,
            {ledger.campaign_id, ledger.user_id, ledger.campaign_use_no},
            3,
            {ledger.voided_at, {ledger.campaign_id, 0}}};
}

// Of rows that have a value in this column; of those with a campaign, if there is another.
index_shape partial_index_shape(null_tests tests, AttrNumber column, AttrNumber second = 0) {
    sort(tests);
    return {false, {column, second}, second == 0 ? 1 : 2, tests};
}

// Codes and names are found by their key, so it must be what they say.
void check_key(Relation table, const catalog &found, AttrNumber key, AttrNumber of) {
    const TupleConstr *constraints = RelationGetDescr(table)->constr;
    for (int i = 0; constraints != nullptr && i < constraints->num_defval; i++) {
        const AttrDefault &value = constraints->defval[i];
        if (value.adnum == key && applies_to_column(static_cast<Node *>(stringToNode(value.adbin)),
                                                    of, find_key_function(found.namespace_id)))
            return;
    }
    report_altered_table(
        table, psprintf("Column \"%s\" is generated in another way.",
                        NameStr(TupleDescAttr(RelationGetDescr(table), key - 1)->attname)));
}

constexpr int16 changes_of_rows =
    TRIGGER_TYPE_ROW | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;

// Whether the triggers are in force that follow changes to one table; and what tells whether they
// have been all the time.
bool is_followed(Relation table, Oid function, const int16 *types, int count, uint32 &state) {
    state = hash_combine(state, trigger_state(table, function));
    bool all = true;
    for (int i = 0; i < count; i++)
        all &= is_in_force(table, function, types[i]);
    return OidIsValid(function) && all;
}

// Whether the triggers are in force that follow a table whose rows have limits.
bool is_owner_followed(Relation table, const catalog &found, const char *name, uint32 &state) {
    const int16 types[] = {
        TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE,
        TRIGGER_TYPE_ROW | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE,
        TRIGGER_TYPE_TRUNCATE,
    };
    Oid function = find_trigger_function(found.namespace_id, name);
    return is_followed(table, function, types, lengthof(types), state);
}

bool prove_coupon(catalog &found, uint32 &state) {
    Relation table = open_ordinary_table(found.coupon_table);
    found.coupon = find_columns(table, coupon_rules, found);
    found.coupon_key_index = find_index(table, {true, {found.coupon.code_key}, 1, {}});
    found.coupon_id_index = find_index(table, {true, {found.coupon.id}, 1, {}});
    if (found.is_updated) {
        const AttrNumber campaign = found.coupon.campaign_id;
        found.coupon_holder_index =
            find_index(table, {true, {campaign, found.coupon.holder}, 2, {0, {campaign, 0}}});
        found.coupon_free_index = find_index(
            table, {false, {campaign, found.coupon.id}, 2, {found.coupon.holder, {campaign, 0}}});
    }
    check_key(table, found, found.coupon.code_key, found.coupon.code);
    find_checked_patterns(table, found);
    bool followed = is_owner_followed(table, found, "coupon_guard_follow_coupon", state);
    table_close(table, NoLock);
    return followed;
}

bool prove_campaign(catalog &found, uint32 &state) {
    if (!found.is_updated)
        return true;
    Relation table = open_ordinary_table(found.campaign_table);
    found.campaign = find_columns(table, campaign_rules, found);
    found.campaign_name_index = find_index(table, {true, {found.campaign.name_key}, 1, {}});
    found.campaign_id_index = find_index(table, {true, {found.campaign.id}, 1, {}});
    check_key(table, found, found.campaign.name_key, found.campaign.name);
    bool followed = is_owner_followed(table, found, "coupon_guard_follow_campaign", state);
    table_close(table, NoLock);
    return followed;
}

void find_ledger_indexes(Relation table, catalog &found) {
    const ledger_columns &ledger = found.ledger;
    found.ledger_use_index = find_index(table, use_index_shape(ledger));
    found.ledger_request_index = find_index(table, request_index_shape(ledger));
    found.ledger_id_index = find_index(table, {true, {ledger.id}, 1, {}});
    found.ledger_hold_index =
        find_index(table, partial_index_shape({ledger.voided_at, {ledger.hold_expires_at, 0}},
                                              ledger.coupon_id, ledger.hold_expires_at));
    found.ledger_voided_index =
        find_index(table, partial_index_shape({0, {ledger.voided_at, 0}}, ledger.coupon_id));
    if (!found.is_updated)
        return;
    found.ledger_campaign_use_index = find_index(table, campaign_use_index_shape(ledger));
    found.ledger_campaign_hold_index = find_index(
        table, partial_index_shape({ledger.voided_at, {ledger.campaign_id, ledger.hold_expires_at}},
                                   ledger.campaign_id, ledger.hold_expires_at));
    found.ledger_campaign_voided_index =
        find_index(table, partial_index_shape({0, {ledger.campaign_id, ledger.voided_at}},
                                              ledger.campaign_id));
}

bool prove_ledger(catalog &found, uint32 &state) {
    Relation table = open_ordinary_table(found.ledger_table);
    found.ledger = find_columns(table, ledger_rules, found);
    find_ledger_indexes(table, found);
    const ledger_columns &ledger = found.ledger;
    found.ledger_id_sequence = identity_sequence_of(table, ledger.id);
    if (!OidIsValid(found.ledger_id_sequence))
        report_altered_table(table, "Column \"id\" has lost its identity sequence.");

    Oid function = find_trigger_function(found.namespace_id, "coupon_guard_follow_ledger");
    AttrNumber given[lengthof(ledger_rules)];
    for (int i = 0; i < static_cast<int>(lengthof(ledger_rules)); i++)
        given[i] = ledger.*ledger_rules[i].number;
    const known_check checks[] = {
        {ledger.use_no, F_INT4GT, true},
        {ledger.hold_expires_at, F_ISFINITE_TIMESTAMPTZ, false},
        {ledger.amount, F_INT84GT, true},
        {ledger.campaign_use_no, F_INT4GT, true},
    };
    const index_shape arbiters[] = {use_index_shape(ledger), request_index_shape(ledger),
                                    campaign_use_index_shape(ledger)};
    const bool is_new = found.is_updated; // else without the last ones of each
    make_write_plan(table,
                    {function, given, ledger_never_null,
                     int{lengthof(given)} - (is_new ? 0 : ledger_new_columns), arbiters,
                     int{lengthof(arbiters)} - (is_new ? 0 : 1), checks,
                     int{lengthof(checks)} - (is_new ? 0 : 2)},
                    found.ledger_plan);
    const int16 types[] = {changes_of_rows, TRIGGER_TYPE_TRUNCATE};
    bool followed = is_followed(table, function, types, lengthof(types), state);
    table_close(table, NoLock);
    return followed;
}

bool prove_quota(catalog &found, uint32 &state) {
    Relation table = open_ordinary_table(found.quota_table);
    found.quota = find_columns(table, quota_rules, found);
    const quota_columns &quota = found.quota;
    const index_shape arbiter = {true, {quota.owner_id, quota.kind, quota.stripe}, 3, {}};
    found.quota_index = find_index(table, arbiter);
    Oid function = find_trigger_function(found.namespace_id, "coupon_guard_follow_quota");
    AttrNumber given[lengthof(quota_rules)];
    for (int i = 0; i < static_cast<int>(lengthof(quota_rules)); i++)
        given[i] = found.quota.*quota_rules[i].number;
    const known_check check = {found.quota.remaining, F_INT84GE, true};
    make_write_plan(table,
                    {function, given, lengthof(given), lengthof(given), &arbiter, 1, &check, 1},
                    found.quota_plan);
    const int16 types[] = {changes_of_rows | TRIGGER_TYPE_BEFORE, changes_of_rows,
                           TRIGGER_TYPE_TRUNCATE};
    bool followed = is_followed(table, function, types, lengthof(types), state);
    table_close(table, NoLock);
    return followed;
}

void prove_transfer(catalog &found) {
    Relation table = open_ordinary_table(found.transfer_table);
    found.transfer = find_columns(table, transfer_rules, found);
    const transfer_columns &transfer = found.transfer;
    const index_shape arbiter = {true, {transfer.transfer_id}, 1, {}};
    found.transfer_id_index = find_index(table, arbiter);
    found.transfer_limit_index =
        find_index(table, {false, {transfer.owner_id, transfer.kind, transfer.transfer_no}, 3, {}});
    found.transfer_unsettled_index = find_index(
        table, {false, {transfer.owner_id, transfer.kind}, 2, {transfer.settled_at, {0, 0}}});
    AttrNumber given[lengthof(transfer_rules)];
    for (int i = 0; i < static_cast<int>(lengthof(transfer_rules)); i++)
        given[i] = transfer.*transfer_rules[i].number;
    make_write_plan(
        table, {InvalidOid, given, lengthof(given) - 1, lengthof(given), &arbiter, 1, nullptr, 0},
        found.transfer_plan);
    table_close(table, NoLock);
}

void prove_shard(catalog &found) {
    Relation table = open_ordinary_table(found.shard_table);
    found.shard = find_columns(table, shard_rules, found);
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

void find_types(catalog &found) {
    found.returns_relation =
        get_typ_typrelid(find_type(found.namespace_id, "coupon_guard_returns"));
    found.changes_relation =
        found.is_updated ? get_typ_typrelid(find_type(found.namespace_id, "coupon_guard_changes"))
                         : found.coupon_table;
    found.status_type = find_type(found.namespace_id, "coupon_status");
    for (int i = 0; i < status_count; i++) {
        found.status_values[i] =
            GetSysCacheOid2(ENUMTYPOIDNAME, Anum_pg_enum_oid, ObjectIdGetDatum(found.status_type),
                            CStringGetDatum(status_labels[i]));
        if (!OidIsValid(found.status_values[i]) && i < first_status_count)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
                            errmsg("type \"coupon_status\" has no value \"%s\"", status_labels[i]),
                            errhint("Run ALTER EXTENSION coupon_guard UPDATE.")));
    }
}

} // namespace

void prove(catalog &found) {
    uint32 state = 0;
    bool ledger_followed = prove_ledger(found, state);
    bool coupon_followed = prove_coupon(found, state);
    bool campaign_followed = prove_campaign(found, state);
    bool quota_followed = prove_quota(found, state);
    if (found.has_rights) {
        prove_transfer(found);
        prove_shard(found);
    }
    found.follows_changes =
        ledger_followed && coupon_followed && campaign_followed && quota_followed;
    found.generation = static_cast<int32>(state);
    if (found.generation == void_generation)
        found.generation = 1;
    find_types(found);
}

} // namespace coupon_guard
