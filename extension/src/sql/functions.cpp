// The SQL-callable functions but for triggers: unpack the arguments, call one function, let its
// answer leave (answers.hpp).

#include "redeem/confirm.hpp"
#include "redeem/redeem_coupons.hpp"
#include "redeem/void.hpp"
#include "sql/answers.hpp"
#include "sql/arguments.hpp"

extern "C" {
#include "utils/array.h"
}

namespace coupon_guard {
namespace {

// ---- redeeming --------------------------------------------------------------------------------

Datum redeem_and_answer(FunctionCallInfo call, redeem_request &request, bool is_strict) {
    const attempt_call attempts = begin_attempts();
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "redeem_coupon()");
    count_attempt(attempts, guard, request);
    redeem_answer answer = redeem(guard, request);
    return is_strict ? answer_or_raise(attempts, guard, request, answer, call->args[1].value)
                     : answer_row(called::redeem_coupon, attempts, guard, answer);
}

// redeem_coupon(user_id, code, request_id, metadata)
Datum redeem_coupon(FunctionCallInfo call, user_reader read_user, bool is_strict) {
    begin_call(is_strict ? called::redeem_coupon_strict : called::redeem_coupon);
    redeem_request request;
    read_user_and_code(call->args[0], call->args[1], read_user, request);
    read_options(request, call->args[2], call->args[3]);
    return redeem_and_answer(call, request, is_strict);
}

// redeem_coupon(user_id, code, amount, metadata, request_id, up_to)
Datum redeem_amount(FunctionCallInfo call, user_reader read_user, bool is_strict) {
    begin_call(is_strict ? called::redeem_coupon_strict : called::redeem_coupon);
    redeem_request request;
    read_user_and_code(call->args[0], call->args[1], read_user, request);
    request.amount = read_amount(call->args[2]);
    read_options(request, call->args[4], call->args[3]);
    request.up_to = !call->args[5].isnull && DatumGetBool(call->args[5].value);
    return redeem_and_answer(call, request, is_strict);
}

Datum redeem_or_answer(FunctionCallInfo call, user_reader read_user) {
    return redeem_coupon(call, read_user, false);
}

Datum redeem_or_raise(FunctionCallInfo call, user_reader read_user) {
    return redeem_coupon(call, read_user, true);
}

Datum redeem_amount_or_answer(FunctionCallInfo call, user_reader read_user) {
    return redeem_amount(call, read_user, false);
}

Datum redeem_amount_or_raise(FunctionCallInfo call, user_reader read_user) {
    return redeem_amount(call, read_user, true);
}

void read_hold(FunctionCallInfo call, user_reader read_user, redeem_request &request) {
    read_user_and_code(call->args[0], call->args[1], read_user, request);
    check_argument_given(call->args[2], "ttl");
    request.hold_for = read_duration(call->args[2].value, "ttl");
}

Datum hold_and_answer(FunctionCallInfo call, redeem_request &request) {
    const attempt_call attempts = begin_attempts();
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "hold_coupon()");
    count_attempt(attempts, guard, request);
    redeem_answer answer = redeem(guard, request);
    return answer_row(called::hold_coupon, attempts, guard, answer);
}

// hold_coupon(user_id, code, ttl, request_id, metadata)
Datum hold_coupon(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::hold_coupon);
    redeem_request request;
    read_hold(call, read_user, request);
    read_options(request, call->args[3], call->args[4]);
    return hold_and_answer(call, request);
}

// hold_coupon(user_id, code, ttl, amount, metadata, request_id)
Datum hold_amount(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::hold_coupon);
    redeem_request request;
    read_hold(call, read_user, request);
    request.amount = read_amount(call->args[3]);
    read_options(request, call->args[5], call->args[4]);
    return hold_and_answer(call, request);
}

// ---- redeeming several ------------------------------------------------------------------------

void check_code_count(int count) {
    if (count > most_codes)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED), errmsg("too many codes"),
                        errdetail("There are %d; the limit is %d.", count, most_codes)));
}

redeem_request *read_requests(const redeem_request &common, const Datum *codes, const bool *nulls,
                              int count) {
    if (common.has_request &&
        common.request.length() + max_request_suffix_bytes > max_request_id_bytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("request id is too long for several coupons"),
                        errdetail("It has %zu bytes; the limit is %zu.", common.request.length(),
                                  max_request_id_bytes - max_request_suffix_bytes)));
    auto requests = static_cast<redeem_request *>(palloc(sizeof(redeem_request) * count));
    for (int i = 0; i < count; i++) {
        check_argument_given({codes[i], nulls[i]}, "code");
        requests[i] = common;
        requests[i].key = read_code(codes[i]);
    }
    return requests;
}

// The amount of each code; NULL: none for that code, or for any.
void read_amounts(const NullableDatum &given, redeem_request *requests, int count) {
    if (given.isnull)
        return;
    Datum *amounts;
    bool *nulls;
    ArrayType *array = DatumGetArrayTypeP(given.value);
    int amount_count = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    if (amount_count != count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("there must be as many amounts as codes"),
                        errdetail("Amounts: %d; codes: %d.", amount_count, count),
                        errhint("NULL stands for no amount.")));
    deconstruct_array(array, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &amounts,
                      &nulls, &amount_count);
    for (int i = 0; i < count; i++)
        requests[i].amount = read_amount({amounts[i], nulls[i]});
}

void read_user_and_codes(FunctionCallInfo call, user_reader read_user, redeem_request &common) {
    check_argument_given(call->args[0], "user id");
    check_argument_given(call->args[1], "codes");
    read_user(call->args[0].value, common.user);
    ask_for_nothing_else(common);
}

Datum *read_codes(const redeem_request &common, Datum given, redeem_request *&requests,
                  int &count) {
    Datum *codes;
    bool *nulls;
    ArrayType *array = DatumGetArrayTypeP(given);
    check_code_count(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)));
    deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &codes, &nulls, &count);
    requests = read_requests(common, codes, nulls, count);
    return codes;
}

Datum redeem_and_answer(FunctionCallInfo call, redeem_request *requests, const Datum *codes,
                        int count) {
    InitMaterializedSRF(call, 0);
    const attempt_call attempts = begin_attempts();
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "redeem_coupons()");
    for (int i = 0; i < count; i++)
        count_attempt(attempts, guard, requests[i]);
    auto answers = static_cast<redeem_answer *>(palloc(sizeof(redeem_answer) * count));
    auto spent = static_cast<tally *>(palloc0(sizeof(tally) * count));
    redeem_coupons(guard, requests, answers, spent, count);
    answer_rows(call, attempts, guard, answers, spent, codes, count);
    return Datum{0};
}

// redeem_coupons(user_id, codes, request_id, metadata)
Datum redeem_coupons(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::redeem_coupons);
    redeem_request common;
    read_user_and_codes(call, read_user, common);
    read_options(common, call->args[2], call->args[3]);
    redeem_request *requests;
    int count;
    Datum *codes = read_codes(common, call->args[1].value, requests, count);
    return redeem_and_answer(call, requests, codes, count);
}

// redeem_coupons(user_id, codes, amounts, metadata, request_id, up_to)
Datum redeem_coupons_amounts(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::redeem_coupons);
    redeem_request common;
    read_user_and_codes(call, read_user, common);
    read_options(common, call->args[4], call->args[3]);
    common.up_to = !call->args[5].isnull && DatumGetBool(call->args[5].value);
    redeem_request *requests;
    int count;
    Datum *codes = read_codes(common, call->args[1].value, requests, count);
    read_amounts(call->args[2], requests, count);
    return redeem_and_answer(call, requests, codes, count);
}

// ---- confirming, voiding ----------------------------------------------------------------------

// amount is 0: all.
Datum confirm_hold(FunctionCallInfo call, int64 amount) {
    check_argument_given(call->args[0], "redemption id");
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "confirm_hold()");
    redeem_answer answer = confirm_hold(guard, DatumGetInt64(call->args[0].value), amount);
    return answer_row(called::confirm_hold, no_attempt, guard, answer);
}

Datum void_redemption(FunctionCallInfo call, int64 amount, const NullableDatum &reason) {
    check_argument_given(call->args[0], "redemption id");
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "void_redemption()");
    return answer_void(void_redemption(guard, DatumGetInt64(call->args[0].value), reason.value,
                                       !reason.isnull, amount));
}

// ---- claiming ---------------------------------------------------------------------------------

code_key read_user_and_campaign(FunctionCallInfo call, user_reader read_user, user_id &user) {
    check_argument_given(call->args[0], "user id");
    check_argument_given(call->args[1], "campaign");
    read_user(call->args[0].value, user);
    return read_code(call->args[1].value); // names are compared as codes are
}

// claim_coupon(user_id, campaign)
Datum claim_coupon(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::claim_coupon);
    user_id user;
    const code_key campaign = read_user_and_campaign(call, read_user, user);
    const attempt_call attempts = begin_attempts();
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "claim_coupon()");
    claim_answer answer = {};
    if (!refuse_if_throttled(guard, user, answer))
        answer = claim_coupon(guard, user, campaign);
    return answer_row(called::claim_coupon, attempts, guard, answer);
}

// release_claim(user_id, campaign)
Datum release_claim(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::release_claim);
    user_id user;
    const code_key campaign = read_user_and_campaign(call, read_user, user);
    const attempt_call attempts = begin_attempts();
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "release_claim()");
    claim_answer answer = {};
    if (!refuse_if_throttled(guard, user, answer))
        answer = release_claim(guard, user, campaign);
    return answer_row(called::release_claim, attempts, guard, answer);
}

// ---- looking ----------------------------------------------------------------------------------

// check_coupon(user_id, code)
Datum check_coupon(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::check_coupon);
    redeem_request request;
    read_user_and_code(call->args[0], call->args[1], read_user, request);
    PreventCommandIfParallelMode("check_coupon()");
    CommandCounterIncrement(); // what the command at hand has done so far counts
    const attempt_call attempts = begin_attempts();
    const installation guard = open_guard(call->flinfo->fn_oid, AccessShareLock);
    coupon_check answer = nothing_found();
    if (!refuse_if_throttled(guard, request.user, answer))
        answer = check_coupon(guard, request.user, request.key);
    return answer_row(attempts, guard, answer);
}

Datum coupon_key(Datum code) {
    code_key key = read_code(code);
    switch (key.error) {
    case code_key_error::too_long:
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("coupon code is too long"),
                        errdetail("A code may have %zu bytes, its key %zu bytes in UTF-8.",
                                  max_code_bytes, max_code_key_bytes)));
        break;
    case code_key_error::unassigned:
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("coupon code has an unassigned character"),
                        errdetail("Unicode promises stable case and compatibility forms for "
                                  "assigned characters only.")));
        break;
    case code_key_error::invalid_utf8: // reported already
    case code_key_error::none:
        break;
    }
    return PointerGetDatum(cstring_to_text_with_len(key.bytes, key.length));
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

// Functions that are STRICT look for NULL all the same: whoever owns one can ALTER it.
extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_coupon_key);
Datum coupon_guard_coupon_key(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    return coupon_key(PG_GETARG_DATUM(0));
}

PG_FUNCTION_INFO_V1(coupon_guard_version);
Datum coupon_guard_version(PG_FUNCTION_ARGS) {
    return PointerGetDatum(cstring_to_text(COUPON_GUARD_VERSION));
}

PG_FUNCTION_INFO_V1(coupon_guard_user_id_fault);
Datum coupon_guard_user_id_fault(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    spelling_fault fault = judge_user(PG_GETARG_DATUM(0));
    if (fault == spelling_fault::none)
        PG_RETURN_NULL();
    return PointerGetDatum(cstring_to_text(describe(fault)));
}

PG_FUNCTION_INFO_V1(coupon_guard_generation);
Datum coupon_guard_generation(PG_FUNCTION_ARGS) {
    PreventCommandIfParallelMode("coupon_guard_generation()");
    const installation guard = open_guard(fcinfo->flinfo->fn_oid, AccessShareLock);
    const catalog &tables = catalog_of(guard);
    const bool follows_changes = tables.follows_changes;
    const int32 generation = tables.generation;
    // Everybody may call it, and nobody is to keep others from altering the ledger by that.
    UnlockRelationOid(tables.ledger_table, AccessShareLock);
    if (!follows_changes)
        PG_RETURN_NULL();
    return Int32GetDatum(generation);
}

PG_FUNCTION_INFO_V1(coupon_guard_confirm_hold);
Datum coupon_guard_confirm_hold(PG_FUNCTION_ARGS) {
    begin_call(called::confirm_hold);
    return confirm_hold(fcinfo, 0);
}

PG_FUNCTION_INFO_V1(coupon_guard_confirm_hold_amount);
Datum coupon_guard_confirm_hold_amount(PG_FUNCTION_ARGS) {
    begin_call(called::confirm_hold);
    return confirm_hold(fcinfo, read_amount(fcinfo->args[1]));
}

PG_FUNCTION_INFO_V1(coupon_guard_void_redemption);
Datum coupon_guard_void_redemption(PG_FUNCTION_ARGS) {
    begin_call(called::void_redemption);
    return void_redemption(fcinfo, 0, fcinfo->args[1]);
}

PG_FUNCTION_INFO_V1(coupon_guard_void_amount);
Datum coupon_guard_void_amount(PG_FUNCTION_ARGS) {
    begin_call(called::void_redemption);
    return void_redemption(fcinfo, read_amount(fcinfo->args[1]), fcinfo->args[2]);
}

// The functions that come once for each type of user id.
#define FUNCTION_OF_USER(name, function, read_user)                                                \
    PG_FUNCTION_INFO_V1(name);                                                                     \
    Datum name(PG_FUNCTION_ARGS) {                                                                 \
        return function(fcinfo, read_user);                                                        \
    }

#define FUNCTIONS_OF_USERS(name, function)                                                         \
    FUNCTION_OF_USER(coupon_guard_##name##_bigint, function, read_bigint_user)                     \
    FUNCTION_OF_USER(coupon_guard_##name##_uuid, function, read_uuid_user)                         \
    FUNCTION_OF_USER(coupon_guard_##name##_text, function, read_text_user)

FUNCTIONS_OF_USERS(redeem, redeem_or_answer)
FUNCTIONS_OF_USERS(redeem_strict, redeem_or_raise)
FUNCTIONS_OF_USERS(redeem_amount, redeem_amount_or_answer)
FUNCTIONS_OF_USERS(redeem_amount_strict, redeem_amount_or_raise)
FUNCTIONS_OF_USERS(redeem_coupons, redeem_coupons)
FUNCTIONS_OF_USERS(redeem_coupons_amounts, redeem_coupons_amounts)
FUNCTIONS_OF_USERS(hold, hold_coupon)
FUNCTIONS_OF_USERS(hold_amount, hold_amount)
FUNCTIONS_OF_USERS(claim, claim_coupon)
FUNCTIONS_OF_USERS(release_claim, release_claim)
FUNCTIONS_OF_USERS(check, check_coupon)
}
