#include "sql/arguments.hpp"

namespace coupon_guard {

int user_ids_are = static_cast<int>(user_id_type::automatic);

const config_enum_entry user_id_type_names[] = {
    {"auto", static_cast<int>(user_id_type::automatic), false},
    {"bigint", static_cast<int>(user_id_type::bigint), false},
    {"uuid", static_cast<int>(user_id_type::uuid), false},
    {"text", static_cast<int>(user_id_type::text), false},
    {nullptr, 0, false},
};

namespace {

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

// ---- user ids ---------------------------------------------------------------------------------

const char *name_of(user_id_type type) {
    return user_id_type_names[static_cast<int>(type)].name;
}

// An id of a type may be used where ids have this type, or none in particular.
void check_type_of_user(user_id_type type) {
    auto expected = static_cast<user_id_type>(user_ids_are);
    if (expected == user_id_type::automatic || expected == user_id_type::text || expected == type)
        return;
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("user id is of type %s, but coupon_guard.user_id_type is %s",
                           name_of(type), name_of(expected))));
}

void add_user_id_context(void *) {
    errcontext("user id, where coupon_guard.user_id_type is %s",
               name_of(static_cast<user_id_type>(user_ids_are)));
}

// The id as the setting's type has it. Errors: 22P02, 22003, from that type's own input function.
void read_text_as(PGFunction input, user_reader read, Datum value, user_id &user) {
    ErrorContextCallback context;
    context.callback = add_user_id_context;
    context.arg = nullptr;
    context.previous = error_context_stack;
    error_context_stack = &context;
    Datum typed = DirectFunctionCall1(input, CStringGetDatum(TextDatumGetCString(value)));
    error_context_stack = context.previous;
    read(typed, user);
}

spelling_fault judge(user_id_type type, const char *bytes, std::size_t length) {
    int encoding = GetDatabaseEncoding();
    if (encoding == PG_UTF8)
        return judge_spelling(type, bytes, length);
    if (is_opaque_encoding(encoding))
        return judge_bytewise_spelling(type, bytes, length);
    const char *utf8 = pg_server_to_any(bytes, static_cast<int>(length), PG_UTF8);
    return judge_spelling(type, utf8, utf8 == bytes ? length : strlen(utf8));
}

void check_spelling(const user_id &user) {
    spelling_fault fault =
        judge(static_cast<user_id_type>(user_ids_are), user.bytes, user.length());
    if (fault == spelling_fault::none)
        return;
    const char *shown = clip_for_message(
        PointerGetDatum(cstring_to_text_with_len(user.bytes, static_cast<int>(user.length()))));
    if (fault == spelling_fault::invalid_utf8)
        ereport(ERROR,
                (errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
                 errmsg("user id is not valid in encoding \"%s\"", GetDatabaseEncodingName())));
    ereport(
        ERROR,
        (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
         errmsg("user id \"%s\" %s", shown, describe(fault)),
         errdetail("User ids are compared as they are written: one user must have one spelling."),
         errhint("Cast the user id to bigint or uuid, or set coupon_guard.user_id_type to the "
                 "type that user ids have.")));
}

} // namespace

void check_argument_given(const NullableDatum &argument, const char *name) {
    if (argument.isnull)
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
}

void read_bigint_user(Datum value, user_id &user) {
    check_type_of_user(user_id_type::bigint);
    static_assert(sizeof user.bytes > MAXINT8LEN);
    user.set_length(pg_lltoa(DatumGetInt64(value), user.bytes));
}

void read_uuid_user(Datum value, user_id &user) {
    check_type_of_user(user_id_type::uuid);
    char *canonical = DatumGetCString(DirectFunctionCall1(uuid_out, value));
    user.assign(canonical, strlen(canonical));
}

void read_text_user(Datum value, user_id &user) {
    read_text(value, "user id", user);
    switch (static_cast<user_id_type>(user_ids_are)) {
    case user_id_type::bigint:
        return read_text_as(int8in, read_bigint_user, value, user);
    case user_id_type::uuid:
        return read_text_as(uuid_in, read_uuid_user, value, user);
    case user_id_type::automatic:
        return check_spelling(user);
    case user_id_type::text:
        return;
    }
}

spelling_fault judge_user(Datum value) {
    text *given = DatumGetTextPP(value);
    return judge(static_cast<user_id_type>(user_ids_are), VARDATA_ANY(given),
                 VARSIZE_ANY_EXHDR(given));
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

int64 read_amount(const NullableDatum &amount) {
    if (amount.isnull)
        return 0;
    int64 value = DatumGetInt64(amount.value);
    if (value <= 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("amount must be positive"),
                        errdetail("It is " INT64_FORMAT ".", value)));
    return value;
}

void read_user_and_code(const NullableDatum &user, const NullableDatum &code, user_reader read_user,
                        redeem_request &request) {
    check_argument_given(user, "user id");
    check_argument_given(code, "code");
    read_user(user.value, request.user);
    request.key = read_code(code.value);
    ask_for_nothing_else(request);
}

void ask_for_nothing_else(redeem_request &request) {
    request.hold_for = nullptr;
    request.amount = 0;
    request.up_to = false;
    request.following = 0;
    request.is_throttled = request.hides_reasons = false;
}

void read_options(redeem_request &request, const NullableDatum &request_id,
                  const NullableDatum &metadata) {
    request.has_request = !request_id.isnull;
    request.part = 0;
    if (request.has_request)
        read_request_id(request_id.value, request.request);
    request.has_metadata = !metadata.isnull;
    request.metadata =
        metadata.isnull ? Datum{0} : PointerGetDatum(PG_DETOAST_DATUM(metadata.value));
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

} // namespace coupon_guard
