// redeem_coupon_for_each(user_ids, codes, request_ids, metadata): redeem_coupon() for many users in
// one call, one after the other, as if a statement called it for each row.
//
// What makes it cheaper than that: one call of a function, and one set of rows, where PostgreSQL
// makes one for each row; the ledger and its indexes are kept open (open_table.hpp); and of a
// capped coupon that the next calls are for, units are taken for them too.

#include "sql/answers.hpp"
#include "sql/arguments.hpp"

extern "C" {
#include "utils/array.h"
}

namespace coupon_guard {
namespace {

// An argument that has a value for each call.
struct call_values {
    bool is_given; // else each is NULL
    int count;
    Datum *values;
    bool *nulls;
};

NullableDatum value_of(const call_values &argument, int call) {
    return argument.is_given ? NullableDatum{argument.values[call], argument.nulls[call]}
                             : NullableDatum{Datum{0}, true};
}

call_values read_array(const NullableDatum &argument) {
    call_values read = {};
    if (argument.isnull)
        return read;
    read.is_given = true;
    ArrayType *array = DatumGetArrayTypeP(argument.value);
    Oid type = ARR_ELEMTYPE(array);
    int16 length;
    bool by_value;
    char alignment;
    get_typlenbyvalalign(type, &length, &by_value, &alignment);
    deconstruct_array(array, type, length, by_value, alignment, &read.values, &read.nulls,
                      &read.count);
    return read;
}

// As unnest() would fill them up with NULL, which says nothing of whose value is missing.
void check_as_many(const call_values &users, const call_values &argument, const char *name) {
    if (argument.is_given && argument.count != users.count)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("there must be as many %s as user ids", name),
                        errdetail("User ids: %d; %s: %d.", users.count, name, argument.count)));
}

// For each call, how many for the same code come next.
const int *count_following(const call_values &codes) {
    auto following = static_cast<int *>(palloc0(sizeof(int) * Max(codes.count, 1)));
    for (int i = codes.count - 2; i >= 0; i--)
        if (!codes.nulls[i] && !codes.nulls[i + 1] &&
            is_same_text(codes.values[i], codes.values[i + 1]))
            following[i] = following[i + 1] + 1;
    return following;
}

struct redeem_calls {
    call_values users, codes, requests, metadata;
    const int *following;
};

redeem_calls read_calls(FunctionCallInfo call) {
    check_argument_given(call->args[0], "user ids");
    check_argument_given(call->args[1], "codes");
    redeem_calls read = {read_array(call->args[0]), read_array(call->args[1]),
                         read_array(call->args[2]), read_array(call->args[3]), nullptr};
    check_as_many(read.users, read.codes, "codes");
    check_as_many(read.users, read.requests, "request ids");
    check_as_many(read.users, read.metadata, "metadata values");
    read.following = count_following(read.codes);
    return read;
}

// request is that of the call before: its code is read once if it is the same.
void read_call(const redeem_calls &calls, int at, user_reader read_user, redeem_request &request) {
    const NullableDatum user = value_of(calls.users, at);
    if (at == 0 || calls.following[at - 1] == 0) {
        read_user_and_code(user, value_of(calls.codes, at), read_user, request);
    } else {
        check_argument_given(user, "user id");
        read_user(user.value, request.user);
    }
    read_options(request, value_of(calls.requests, at), value_of(calls.metadata, at));
    request.following = calls.following[at];
}

installation open_guard_of(FunctionCallInfo call) {
    return open_guard_to_write(call->flinfo->fn_oid, "redeem_coupon_for_each()");
}

Datum redeem_for_each(FunctionCallInfo call, user_reader read_user) {
    begin_call(called::redeem_coupon_for_each);
    const redeem_calls calls = read_calls(call);
    const attempt_call attempts = begin_attempts();
    installation guard = open_guard_of(call);
    begin_answers(call, guard);
    open_table ledger = keep_open();
    MemoryContext of_all = CurrentMemoryContext;
    MemoryContext of_one =
        AllocSetContextCreate(of_all, "coupon_guard redemption", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(of_one);
    redeem_request request;
    bool must_wait = false;
    for (int i = 0; i < calls.users.count; i++) {
        CHECK_FOR_INTERRUPTS();
        read_call(calls, i, read_user, request);
        if (i > 0 && !is_still_open(guard))
            guard = open_guard_of(call);
        guard.ledger = &ledger;
        count_attempt(attempts, guard, request);
        redeem_answer answer = redeem(guard, request);
        must_wait |= add_answer(call, attempts, guard, answer);
        MemoryContextReset(of_one);
    }
    MemoryContextSwitchTo(of_all);
    MemoryContextDelete(of_one);
    close_all(ledger);
    end_answers();
    if (must_wait)
        wait_to_be_alike(attempts);
    return Datum{0};
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_redeem_for_each_bigint);
Datum coupon_guard_redeem_for_each_bigint(PG_FUNCTION_ARGS) {
    return redeem_for_each(fcinfo, read_bigint_user);
}

PG_FUNCTION_INFO_V1(coupon_guard_redeem_for_each_uuid);
Datum coupon_guard_redeem_for_each_uuid(PG_FUNCTION_ARGS) {
    return redeem_for_each(fcinfo, read_uuid_user);
}

PG_FUNCTION_INFO_V1(coupon_guard_redeem_for_each_text);
Datum coupon_guard_redeem_for_each_text(PG_FUNCTION_ARGS) {
    return redeem_for_each(fcinfo, read_text_user);
}
}
