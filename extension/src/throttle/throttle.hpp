// The throttle: how many attempts at codes a user, a client and a whole database may make, counted
// in shared memory. There only if the library is preloaded; else nothing is ever refused.
//
// An attempt counts when it is made, whatever becomes of it and of its transaction: memory is not
// rolled back, which a table would be. Knows no table of ours.
#pragma once

#include "pg/backend.hpp"

#include <string_view>

namespace coupon_guard {

// Whose attempts are counted together.
inline constexpr int throttle_kinds = 3;
enum class throttled_by : unsigned char { user, client, database };

// Settings: attempts a minute (0: any number) and how many at once, by kind.
extern double throttle_rates[throttle_kinds];

// To be called by _PG_init().
void register_throttle();

// Counts an attempt of this user, of the session's client and in its database. True: one of them
// has no attempt left, nothing has been counted, and there is one at retry_at.
bool is_throttled(std::string_view user, TimestampTz &retry_at);

} // namespace coupon_guard
