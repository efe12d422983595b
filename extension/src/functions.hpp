// What the SQL-callable functions share: reading arguments and naming things in messages.
#pragma once

#include "core/code_key.hpp"
#include "pg/backend.hpp"

namespace coupon_guard {

// The key of a code in the database's encoding. A code that is too long or has unassigned
// characters is for the caller to judge. Errors: 22021 for bytes that are no characters.
code_key key_of_code(Datum code);

// A text datum as a string for an error message, at most 64 bytes of it.
const char *clip_for_message(Datum text);

} // namespace coupon_guard
