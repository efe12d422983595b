// The functions that patterns of codes are given to.

#include "catalog/code_patterns.hpp"
#include "coupon/campaign.hpp"
#include "coupon/generate_coupons.hpp"
#include "pg/text_value.hpp"
#include "sql/arguments.hpp"

#include <cmath>

namespace coupon_guard {
namespace {

// ---- patterns ---------------------------------------------------------------------------------

const char *name_of_character(const code_pattern &pattern, int at) {
    const code_character &character = pattern.alphabet[at];
    const char *bytes = pnstrdup(character.bytes, character.length);
    return pattern.form == code_key_form::ascii ? pg_any_to_server(bytes, character.length, PG_UTF8)
                                                : bytes;
}

// What is wrong with one character, as a detail.
const char *describe_character(const code_pattern &pattern) {
    const char *name = name_of_character(pattern, pattern.character);
    switch (pattern.error) {
    case code_pattern_error::character_unassigned:
        return psprintf("Unicode has not assigned character \"%s\".", name);
    case code_pattern_error::character_vanishes:
        return psprintf("Character \"%s\" does not count where codes are compared.", name);
    case code_pattern_error::character_expands:
        return psprintf("Character \"%s\" is compared as several.", name);
    case code_pattern_error::character_joins:
        return psprintf("Character \"%s\" may make one with what stands beside it.", name);
    case code_pattern_error::characters_same:
        return psprintf("Characters \"%s\" and \"%s\" are the same where codes are compared.", name,
                        name_of_character(pattern, pattern.other));
    default:
        return "Beyond ASCII, characters are not known in the encoding of this database.";
    }
}

void report_alphabet(const char *detail) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("alphabet cannot be used for codes"), errdetail_internal("%s", detail)));
}

void report_pattern(Datum pattern, const char *detail) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("pattern \"%s\" is no pattern of codes", clip_for_message(pattern)),
                    errdetail_internal("%s", detail)));
}

void check_code_pattern(const code_pattern &parsed, Datum pattern) {
    switch (parsed.error) {
    case code_pattern_error::none:
        return;
    case code_pattern_error::invalid_utf8:
        ereport(ERROR, (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
                        errmsg("pattern or alphabet is not valid in encoding \"%s\"",
                               GetDatabaseEncodingName())));
        return;
    case code_pattern_error::alphabet_too_small:
        return report_alphabet("It must have two characters at least.");
    case code_pattern_error::alphabet_too_large:
        return report_alphabet(
            psprintf("It must have no more than %d characters.", max_alphabet_size));
    case code_pattern_error::bad_escape:
        return report_pattern(pattern, "A backslash must be followed by \"?\" or a backslash.");
    case code_pattern_error::no_place:
        return report_pattern(pattern, "It has no \"?\", in whose place characters are drawn.");
    case code_pattern_error::too_long:
        return report_pattern(pattern,
                              psprintf("A code may have %zu bytes, its key %zu bytes in UTF-8.",
                                       max_code_bytes, max_code_key_bytes));
    case code_pattern_error::unassigned:
        return report_pattern(pattern, "It has a character that Unicode has not assigned.");
    default:
        return report_alphabet(describe_character(parsed));
    }
}

// Errors: 22023 if they are no pattern and alphabet.
void read_code_pattern(Datum pattern, Datum alphabet, code_pattern &parsed) {
    parse_code_pattern(pattern, alphabet, parsed);
    check_code_pattern(parsed, pattern);
}

// ---- generate_coupons -------------------------------------------------------------------------

// Errors: 22023 unless it is positive.
int64 read_count(const NullableDatum &argument, const char *name) {
    check_argument_given(argument, name);
    int64 count = DatumGetInt64(argument.value);
    if (count <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be positive", name),
                 errdetail("It is " INT64_FORMAT ".", count)));
    return count;
}

double read_share(const NullableDatum &argument) {
    check_argument_given(argument, "max_share");
    double share = DatumGetFloat8(argument.value);
    if (!(share > 0 && share <= 1))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("max_share must be above 0, and 1 at most"),
                        errdetail("It is %g.", share)));
    return share;
}

void check_place_for_check_character(const generation &wanted) {
    if (wanted.has_check_character && wanted.pattern->places < 2)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("pattern \"%s\" has no place for a check character",
                               clip_for_message(wanted.pattern_text)),
                        errdetail("The last \"?\" is the check character's; at least one more must "
                                  "stand before it.")));
}

// generate_coupons(campaign, count, pattern, alphabet, check_character, max_share, active,
//                  starts_at, expires_at, max_redemptions, max_per_user, budget, terms,
//                  notice_every)
generation read_generation(FunctionCallInfo call, code_pattern &pattern) {
    const NullableDatum *given = call->args;
    check_argument_given(given[2], "pattern");
    check_argument_given(given[3], "alphabet");
    check_argument_given(given[4], "check_character");
    generation wanted;
    wanted.count = read_count(given[1], "count");
    wanted.pattern_text = given[2].value;
    read_code_pattern(given[2].value, given[3].value, pattern);
    wanted.pattern = &pattern;
    wanted.has_check_character = DatumGetBool(given[4].value);
    check_place_for_check_character(wanted);
    wanted.max_share = read_share(given[5]);
    wanted.active = given[6];
    wanted.starts_at = given[7];
    wanted.expires_at = given[8];
    wanted.max_redemptions = given[9];
    wanted.max_per_user = given[10];
    wanted.budget = given[11];
    wanted.terms = given[12];
    wanted.notice_every = given[13].isnull ? 0 : read_count(given[13], "notice_every");
    return wanted;
}

// Whoever deletes it meanwhile is the foreign key's to find.
NullableDatum id_of_campaign(const installation &guard, const NullableDatum &name) {
    if (name.isnull)
        return name;
    campaign_row campaign;
    if (!find_campaign(guard, read_code(name.value), campaign))
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("campaign \"%s\" does not exist", clip_for_message(name.value)),
             errdetail("No campaign has this name, whatever the case, blanks and Unicode form.")));
    return {Int64GetDatum(campaign.id), false};
}

Datum generate_coupons(FunctionCallInfo call) {
    const char *name = "generate_coupons()";
    PreventCommandIfReadOnly(name);
    PreventCommandIfParallelMode(name);
    code_pattern *pattern = static_cast<code_pattern *>(palloc(sizeof(code_pattern)));
    generation wanted = read_generation(call, *pattern);
    InitMaterializedSRF(call, MAT_SRF_USE_EXPECTED_DESC);
    CommandCounterIncrement(); // what the command at hand has done so far counts
    const installation guard = open_guard(call->flinfo->fn_oid, AccessShareLock);
    wanted.campaign_id = id_of_campaign(guard, call->args[0]);
    generate_coupons(guard, wanted, reinterpret_cast<ReturnSetInfo *>(call->resultinfo));
    return Datum{0};
}

// ---- coupon_code_fits -------------------------------------------------------------------------

// What a call has read of pattern and alphabet, for the next calls of the same expression.
struct pattern_read {
    Datum pattern, alphabet;
    code_pattern parsed;
};

const code_pattern &read_once(FmgrInfo &function, Datum pattern, Datum alphabet) {
    auto kept = static_cast<pattern_read *>(function.fn_extra);
    if (kept != nullptr && is_same_text(kept->pattern, pattern) &&
        is_same_text(kept->alphabet, alphabet))
        return kept->parsed;
    function.fn_extra = nullptr; // should the next lines fail
    MemoryContext caller = MemoryContextSwitchTo(function.fn_mcxt);
    if (kept == nullptr)
        kept = static_cast<pattern_read *>(palloc0(sizeof(pattern_read)));
    else {
        pfree(DatumGetPointer(kept->pattern));
        pfree(DatumGetPointer(kept->alphabet));
    }
    kept->pattern = PointerGetDatum(PG_DETOAST_DATUM_COPY(pattern));
    kept->alphabet = PointerGetDatum(PG_DETOAST_DATUM_COPY(alphabet));
    MemoryContextSwitchTo(caller);
    read_code_pattern(pattern, alphabet, kept->parsed);
    function.fn_extra = kept;
    return kept->parsed;
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_generate_coupons);
Datum coupon_guard_generate_coupons(PG_FUNCTION_ARGS) {
    return generate_coupons(fcinfo);
}

// coupon_code_fits(code, pattern, alphabet)
PG_FUNCTION_INFO_V1(coupon_guard_code_fits);
Datum coupon_guard_code_fits(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2)) // STRICT, but see functions.cpp
        PG_RETURN_NULL();
    const code_pattern &pattern =
        read_once(*fcinfo->flinfo, PG_GETARG_DATUM(1), PG_GETARG_DATUM(2));
    const code_key key = read_code(PG_GETARG_DATUM(0));
    PG_RETURN_BOOL(key.error != code_key_error::none ||
                   !has_wrong_check_character(pattern, {key.bytes, key.length}));
}
}
