#include "catalog/code_patterns.hpp"

#include "pg/text_value.hpp"

extern "C" {
#include "optimizer/optimizer.h"
}

namespace coupon_guard {
namespace {

MemoryContext patterns_context;

// In no case longer than what is looked at: it may be a gigabyte.
bool is_longer(Datum value, std::size_t limit) {
    return toast_raw_datum_size(value) - VARHDRSZ > limit;
}

code_key_form key_form_of_database() {
    int encoding = GetDatabaseEncoding();
    if (encoding == PG_UTF8)
        return code_key_form::unicode;
    return is_opaque_encoding(encoding) ? code_key_form::bytewise : code_key_form::ascii;
}

std::string_view as_unicode(code_key_form form, Datum value) {
    text *given = DatumGetTextPP(value);
    const char *bytes = VARDATA_ANY(given);
    std::size_t length = VARSIZE_ANY_EXHDR(given);
    if (form != code_key_form::ascii)
        return {bytes, length};
    const char *utf8 = pg_server_to_any(bytes, static_cast<int>(length), PG_UTF8);
    return {utf8, utf8 == bytes ? length : strlen(utf8)};
}

Oid find_fits_function(Oid namespace_id) {
    const Oid arguments[] = {TEXTOID, TEXTOID, TEXTOID};
    return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("coupon_code_fits"),
                           PointerGetDatum(buildoidvector(arguments, lengthof(arguments))),
                           ObjectIdGetDatum(namespace_id));
}

const Const *constant_text(Node *argument) {
    const Const *constant = reinterpret_cast<Const *>(argument);
    return IsA(argument, Const) && constant->consttype == TEXTOID && !constant->constisnull
               ? constant
               : nullptr;
}

// Whether the arguments are columns and constants: nothing that the shop has put there is run.
bool is_plain_call(Node *expression, Oid function) {
    if (!IsA(expression, FuncExpr) || reinterpret_cast<FuncExpr *>(expression)->funcid != function)
        return false;
    ListCell *cell;
    foreach (cell, reinterpret_cast<FuncExpr *>(expression)->args) {
        Node *argument = static_cast<Node *>(lfirst(cell));
        if (IsA(argument, NamedArgExpr))
            argument = reinterpret_cast<Node *>(reinterpret_cast<NamedArgExpr *>(argument)->arg);
        if (!IsA(argument, Var) && !IsA(argument, Const))
            return false;
    }
    return true;
}

// Whether the constraint is coupon_code_fits(code, PATTERN, ALPHABET), both constant.
bool read_constraint(const ConstrCheck &constraint, AttrNumber code, Oid function,
                     code_pattern &pattern) {
    if (!holds_for_all_rows(constraint) ||
        strstr(constraint.ccbin, psprintf("{FUNCEXPR :funcid %u ", function)) == nullptr)
        return false;
    Node *expression = static_cast<Node *>(stringToNode(constraint.ccbin));
    if (!is_plain_call(expression, function))
        return false;
    // Named arguments take their places, and the default is put in.
    expression = eval_const_expressions(nullptr, expression);
    if (!IsA(expression, FuncExpr))
        return false;
    FuncExpr *call = reinterpret_cast<FuncExpr *>(expression);
    if (call->funcid != function || list_length(call->args) != 3)
        return false;
    const Var *column = static_cast<Var *>(linitial(call->args));
    const Const *given = constant_text(static_cast<Node *>(lsecond(call->args)));
    const Const *alphabet = constant_text(static_cast<Node *>(lthird(call->args)));
    if (!IsA(column, Var) || column->varattno != code || given == nullptr || alphabet == nullptr)
        return false;
    parse_code_pattern(given->constvalue, alphabet->constvalue, pattern);
    return pattern.error == code_pattern_error::none;
}

} // namespace

void parse_code_pattern(Datum pattern, Datum alphabet, code_pattern &parsed) {
    if (is_longer(pattern, 2 * max_code_bytes)) {
        parsed.error = code_pattern_error::too_long;
        return;
    }
    if (is_longer(alphabet, max_alphabet_size * sizeof(code_character::bytes))) {
        parsed.error = code_pattern_error::alphabet_too_large;
        return;
    }
    const code_key_form form = key_form_of_database();
    parse_code_pattern(form, as_unicode(form, pattern), as_unicode(form, alphabet), parsed);
}

void find_checked_patterns(Relation table, catalog &found) {
    found.checked_pattern_count = 0;
    const TupleConstr *constraints = RelationGetDescr(table)->constr;
    const Oid function = find_fits_function(found.namespace_id);
    if (constraints == nullptr || !OidIsValid(function))
        return;
    code_pattern *patterns = nullptr;
    for (int i = 0; i < constraints->num_check; i++) {
        code_pattern *pattern = static_cast<code_pattern *>(palloc(sizeof(code_pattern)));
        if (read_constraint(constraints->check[i], found.coupon.code, function, *pattern)) {
            if (patterns == nullptr)
                patterns = static_cast<code_pattern *>(
                    palloc(sizeof(code_pattern) * constraints->num_check));
            patterns[found.checked_pattern_count++] = *pattern;
        }
        pfree(pattern);
    }
    found.checked_patterns = patterns;
}

void keep_checked_patterns(catalog &proven) {
    if (patterns_context == nullptr)
        patterns_context = AllocSetContextCreate(CacheMemoryContext, "coupon_guard code patterns",
                                                 ALLOCSET_DEFAULT_SIZES);
    MemoryContextReset(patterns_context);
    if (proven.checked_pattern_count == 0)
        return;
    const Size size = sizeof(code_pattern) * proven.checked_pattern_count;
    void *kept = MemoryContextAlloc(patterns_context, size);
    memcpy(kept, proven.checked_patterns, size);
    proven.checked_patterns = static_cast<code_pattern *>(kept);
}

bool is_ruled_out(const catalog &tables, const code_key &key) {
    Assert(CheckRelationOidLockedByMe(tables.coupon_table, AccessShareLock, true));
    for (int i = 0; i < tables.checked_pattern_count; i++)
        if (has_wrong_check_character(tables.checked_patterns[i], {key.bytes, key.length}))
            return true;
    return false;
}

} // namespace coupon_guard
