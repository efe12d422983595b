// The arguments of SQL functions: reading, checking, and naming them in messages.
#pragma once

#include "core/user_spelling.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

// Errors: 22004 if the argument is NULL. name is what the message calls it.
void check_argument_given(const NullableDatum &argument, const char *name);

// Setting coupon_guard.user_id_type: a user_id_type, and its names.
extern int user_ids_are;
extern const config_enum_entry user_id_type_names[];

// The user's id as it stands in the ledger, from each type that functions take. Text is read as the
// setting says. Errors: 22023 if it is empty, too long, or another spelling of a number or a uuid;
// 22P02 if it is none of the setting's type; 42804 if it has another type than the setting's.
using user_reader = void (*)(Datum value, user_id &user);
void read_bigint_user(Datum value, user_id &user);
void read_uuid_user(Datum value, user_id &user);
void read_text_user(Datum value, user_id &user);

// What keeps text from being a user id that read_text_user() leaves as it is.
spelling_fault judge_user(Datum value);

// Errors: 22023 if it is empty or too long, or has control characters.
void read_request_id(Datum value, request_id &request);

// The key of a code in the database's encoding. A code that is too long or has unassigned
// characters is for the caller to judge. Errors: 22021 for bytes that are no characters.
code_key read_code(Datum code);

// 0: none is given. Errors: 22023 unless it is positive.
int64 read_amount(const NullableDatum &amount);

// User and code of a request that asks for nothing else as yet. Errors: as for read_user, and
// 22021.
void read_user_and_code(const NullableDatum &user, const NullableDatum &code, user_reader read_user,
                        redeem_request &request);
void ask_for_nothing_else(redeem_request &request);
// Request id and metadata, which may be NULL. Errors: as for read_request_id().
void read_options(redeem_request &request, const NullableDatum &request_id,
                  const NullableDatum &metadata);

// Errors: 22023 unless the duration is positive and finite.
const Interval *read_duration(Datum value, const char *name);

} // namespace coupon_guard
