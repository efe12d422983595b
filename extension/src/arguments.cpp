#include "arguments.hpp"

namespace coupon_guard {
namespace {

// The encodings from which the server cannot convert: bytes beyond ASCII have no known meaning.
bool is_opaque_encoding(int encoding) {
    return encoding == PG_SQL_ASCII || encoding == PG_MULE_INTERNAL;
}

// Of ASCII; no encoding of a server has such a byte in another character.
bool is_control_character(char byte) {
    return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f;
}

template <std::size_t Capacity>
void read_text(Datum value, const char *name, text_value<Capacity> &into) {
    text *given = DatumGetTextPP(value);
    std::size_t length = VARSIZE_ANY_EXHDR(given);
    if (length == 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must not be empty", name)));
    if (length > Capacity)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s is too long", name),
                        errdetail("It has %zu bytes; the limit is %zu.", length, Capacity)));
    into.assign(VARDATA_ANY(given), length);
}

} // namespace

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
    read_text(value, "user id", user);
}

void read_request_id(Datum value, request_id &request) {
    read_text(value, "request id", request);
    for (std::size_t i = 0; i < request.length(); i++)
        if (is_control_character(request.bytes[i]))
            ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                            errmsg("request id must not have control characters")));
}

code_key read_code(Datum code) {
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

const Interval *read_duration(Datum value, const char *name) {
    const Interval nothing = {0, 0, 0};
    if (!DatumGetBool(DirectFunctionCall2(interval_gt, value, IntervalPGetDatum(&nothing))))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be positive", name)));
    const Interval *duration = DatumGetIntervalP(value);
    if (!is_finite(duration))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be finite", name)));
    return duration;
}

const char *clip_for_message(Datum value) {
    text *given = DatumGetTextPP(value);
    int length = VARSIZE_ANY_EXHDR(given);
    int clipped = pg_mbcliplen(VARDATA_ANY(given), length, 64);
    return psprintf("%.*s%s", clipped, VARDATA_ANY(given), clipped < length ? "..." : "");
}

} // namespace coupon_guard
