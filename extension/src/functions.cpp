// The SQL-callable functions but for triggers: unpack the arguments, call one function, pack the
// result. Argument checks that need no table are made here.

#include "functions.hpp"

#include "redeem.hpp"
#include "refusal.hpp"

extern "C" {
PG_MODULE_MAGIC;
void _PG_init(void);
}

namespace coupon_guard {
namespace {

// The encodings from which the server cannot convert: bytes beyond ASCII have no known meaning.
bool is_opaque_encoding(int encoding) {
    return encoding == PG_SQL_ASCII || encoding == PG_MULE_INTERNAL;
}

void check_argument_given(const NullableDatum &argument, const char *name) {
    if (argument.isnull)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
}

void read_bigint_user(Datum value, user_id &user) {
    static_assert(sizeof user.bytes > MAXINT8LEN);
    user.set_length(pg_lltoa(DatumGetInt64(value), user.bytes));
}

void read_uuid_user(Datum value, user_id &user) {
    char *canonical = DatumGetCString(DirectFunctionCall1(uuid_out, value));
    user.assign(canonical, strlen(canonical));
}

void read_text_user(Datum value, user_id &user) {
    text *given = DatumGetTextPP(value);
    std::size_t length = VARSIZE_ANY_EXHDR(given);
    if (length == 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("user id must not be empty")));
    if (length > max_user_id_bytes)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("user id is too long"),
                 errdetail("It has %zu bytes; the limit is %zu.", length, max_user_id_bytes)));
    user.assign(VARDATA_ANY(given), length);
}

using user_reader = void (*)(Datum value, user_id &user);

// The row type of redeem_coupon()'s result, kept for the life of the backend: made anew only if
// the extension is.
TupleDesc answer_row_type(Oid status_type) {
    static TupleDesc row_type = nullptr;
    static Oid made_for = InvalidOid;
    if (made_for != status_type) {
        MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
        TupleDesc made = CreateTemplateTupleDesc(6);
        TupleDescInitEntry(made, 1, "status", status_type, -1, 0);
        TupleDescInitEntry(made, 2, "redemption_id", INT8OID, -1, 0);
        TupleDescInitEntry(made, 3, "coupon_id", INT8OID, -1, 0);
        TupleDescInitEntry(made, 4, "use_no", INT4OID, -1, 0);
        TupleDescInitEntry(made, 5, "redeemed_at", TIMESTAMPTZOID, -1, 0);
        TupleDescInitEntry(made, 6, "terms", JSONBOID, -1, 0);
        row_type = BlessTupleDesc(made);
        made_for = status_type;
        MemoryContextSwitchTo(caller);
    }
    return row_type;
}

Datum pack_answer(const schema &objects, const redeem_answer &answer) {
    bool is_redeemed = answer.status == status::redeemed;
    Datum values[] = {
        ObjectIdGetDatum(objects.status_values[static_cast<int>(answer.status)]),
        Int64GetDatum(answer.made.id),
        Int64GetDatum(answer.offer.id),
        Int32GetDatum(answer.made.use_no),
        TimestampTzGetDatum(answer.made.redeemed_at),
        answer.offer.terms,
    };
    bool nulls[] = {
        false,
        !answer.has_redemption,
        !answer.has_offer,
        !answer.has_redemption,
        !answer.has_redemption,
        !is_redeemed || !answer.offer.has_terms,
    };
    return HeapTupleGetDatum(heap_form_tuple(answer_row_type(objects.status_type), values, nulls));
}

enum class refusals { are_answers, are_errors };

Datum redeem_coupon(FunctionCallInfo call, user_reader read_user, refusals mode) {
    check_argument_given(call->args[0], "user id");
    check_argument_given(call->args[1], "code");
    redeem_request request;
    request.function = call->flinfo->fn_oid;
    read_user(call->args[0].value, request.user);
    request.key = key_of_code(call->args[1].value);
    request.has_metadata = !call->args[2].isnull;
    request.metadata = call->args[2].value;

    schema objects;
    redeem_answer answer = redeem(request, objects);
    if (mode == refusals::are_errors && answer.status != status::redeemed)
        report_refusal(request, answer, call->args[1].value);
    return pack_answer(objects, answer);
}

} // namespace

code_key key_of_code(Datum code) {
    code_key key;
    if (toast_raw_datum_size(code) - VARHDRSZ > max_code_bytes) {
        key.error = code_key_error::too_long; // without detoasting what may be a gigabyte
        return key;
    }
    text *given = DatumGetTextPP(code);
    const char *bytes = VARDATA_ANY(given);
    int length = VARSIZE_ANY_EXHDR(given);
    int encoding = GetDatabaseEncoding();
    if (encoding == PG_UTF8)
        key = make_code_key(bytes, length);
    else if (is_opaque_encoding(encoding))
        key = make_bytewise_code_key(bytes, length);
    else {
        const char *utf8 = pg_server_to_any(bytes, length, PG_UTF8);
        key = make_ascii_code_key(utf8, utf8 == bytes ? length : strlen(utf8));
    }
    if (key.error == code_key_error::invalid_utf8)
        ereport(ERROR,
                (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
                 errmsg("coupon code is not valid in encoding \"%s\"", GetDatabaseEncodingName())));
    return key;
}

const char *clip_for_message(Datum value) {
    text *given = DatumGetTextPP(value);
    int length = VARSIZE_ANY_EXHDR(given);
    int clipped = pg_mbcliplen(VARDATA_ANY(given), length, 64);
    return psprintf("%.*s%s", clipped, VARDATA_ANY(given), clipped < length ? "..." : "");
}

namespace {

Datum coupon_key(Datum code) {
    code_key key = key_of_code(code);
    switch (key.error) {
    case code_key_error::too_long:
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("coupon code is too long"),
                        errdetail("A code may have %zu bytes, its key %zu bytes in UTF-8.",
                                  max_code_bytes, max_code_key_bytes)));
        break;
    case code_key_error::unassigned:
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("coupon code has an unassigned character"),
                 errdetail("Unicode promises stable case and compatibility forms for assigned "
                           "characters only.")));
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

extern "C" {

void _PG_init(void) {
    watch_schema();
}

PG_FUNCTION_INFO_V1(coupon_guard_coupon_key);
Datum coupon_guard_coupon_key(PG_FUNCTION_ARGS) {
    return coupon_key(PG_GETARG_DATUM(0));
}

PG_FUNCTION_INFO_V1(coupon_guard_version);
Datum coupon_guard_version(PG_FUNCTION_ARGS) {
    return PointerGetDatum(cstring_to_text(COUPON_GUARD_VERSION));
}

#define REDEEM_FUNCTION(name, read_user, mode)                                                     \
    PG_FUNCTION_INFO_V1(name);                                                                     \
    Datum name(PG_FUNCTION_ARGS) {                                                                 \
        return redeem_coupon(fcinfo, read_user, mode);                                             \
    }

REDEEM_FUNCTION(coupon_guard_redeem_bigint, read_bigint_user, refusals::are_answers)
REDEEM_FUNCTION(coupon_guard_redeem_uuid, read_uuid_user, refusals::are_answers)
REDEEM_FUNCTION(coupon_guard_redeem_text, read_text_user, refusals::are_answers)
REDEEM_FUNCTION(coupon_guard_redeem_strict_bigint, read_bigint_user, refusals::are_errors)
REDEEM_FUNCTION(coupon_guard_redeem_strict_uuid, read_uuid_user, refusals::are_errors)
REDEEM_FUNCTION(coupon_guard_redeem_strict_text, read_text_user, refusals::are_errors)
}
