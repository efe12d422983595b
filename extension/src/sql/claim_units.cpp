// Claims of several units, of several quotas at once. No function of the extension makes such
// claims as yet: this one is not declared in the install script, but by tests (specs/claims.spec,
// t/010_random_histories.pl, t/011_model.pl), as only a superuser can.

#include "ledger/ledger.hpp"
#include "quota/claims.hpp"
#include "quota/shares.hpp"
#include "redeem/redeem.hpp"
#include "sql/arguments.hpp"

extern "C" {
#include "utils/array.h"
}

namespace coupon_guard {
namespace {

int compare_claims(const void *a, const void *b) {
    int64 left = static_cast<const claim *>(a)->from.id.owner_id;
    int64 right = static_cast<const claim *>(b)->from.id.owner_id;
    return left < right ? -1 : left > right ? 1 : 0;
}

int read_array(Datum array, Oid type, int16 length, char alignment, Datum *&values) {
    int count;
    bool *nulls;
    deconstruct_array(DatumGetArrayTypeP(array), type, length, length == sizeof(Datum), alignment,
                      &values, &nulls, &count);
    for (int i = 0; i < count; i++)
        check_argument_given({values[i], nulls[i]}, "element");
    return count;
}

int read_claims(const installation &guard, const Datum *codes, const Datum *amounts, int count,
                claim *claims) {
    for (int i = 0; i < count; i++) {
        coupon_row coupon;
        if (!find_coupon(guard, read_code(codes[i]), coupon) || !is_capped(coupon))
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("a code that has no capped coupon")));
        claims[i] = {cap_of(limit_owner::coupon, coupon), DatumGetInt64(amounts[i])};
    }
    qsort(claims, count, sizeof(claim), compare_claims);
    return count;
}

// A row for each unit, of a user of its own, so that quota, ledger and cap agree: user-0, user-1
// ...
void append_rows(const installation &guard, const claim &taken, const char *user, int &number) {
    for (int64 i = 0; i < taken.amount; i++) {
        user_id own_user;
        read_text_user(CStringGetTextDatum(psprintf("%s-%d", user, number++)), own_user);
        const new_redemption wanted = {
            taken.from.id.owner_id, &own_user,   1,       0,        false, 0, 0,
            GetCurrentTimestamp(),  no_deadline, nullptr, Datum{0}, false};
        redemption made;
        if (!append_redemption(guard, wanted, made))
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("each call wants a user of its own")));
    }
}

// claim_units(user_id, codes, amounts): the ID of the coupon that has too few units; NULL: taken.
Datum claim_units(FunctionCallInfo call) {
    Datum *codes;
    Datum *amounts;
    int count = read_array(call->args[1].value, TEXTOID, -1, TYPALIGN_INT, codes);
    if (count != read_array(call->args[2].value, INT8OID, 8, TYPALIGN_DOUBLE, amounts) ||
        count < 1 || count > most_claims)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("wrong number of claims")));
    const installation guard = open_guard_to_write(call->flinfo->fn_oid, "claim_units()");
    claim claims[most_claims];
    int refused;
    bool contended = false;
    bool has_all = until_decided([&] {
        read_claims(guard, codes, amounts, count, claims);
        TimestampTz now = GetCurrentTimestamp();
        outcome end = is_known_refusal(claims, count, now, refused)
                          ? decided(false)
                          : take_claims(guard, claims, count, now, contended, refused);
        contended = true;
        return end;
    });
    if (!has_all)
        return Int64GetDatum(claims[refused].from.id.owner_id);
    int number = 0;
    for (int i = 0; i < count; i++)
        append_rows(guard, claims[i], TextDatumGetCString(call->args[0].value), number);
    call->isnull = true;
    return Datum{0};
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_claim_units);
Datum coupon_guard_claim_units(PG_FUNCTION_ARGS) {
    return claim_units(fcinfo);
}
}
