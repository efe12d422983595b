// SQLSTATEs of our own: class RC, which is in the range that the SQL standard leaves to
// implementations. docs/reference.md says what each means.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

inline constexpr int sqlstate_not_found = MAKE_SQLSTATE('R', 'C', '0', '0', '1');
inline constexpr int sqlstate_inactive = MAKE_SQLSTATE('R', 'C', '0', '0', '2');
inline constexpr int sqlstate_not_started = MAKE_SQLSTATE('R', 'C', '0', '0', '3');
inline constexpr int sqlstate_expired = MAKE_SQLSTATE('R', 'C', '0', '0', '4');
inline constexpr int sqlstate_already_redeemed = MAKE_SQLSTATE('R', 'C', '0', '0', '5');
inline constexpr int sqlstate_sold_out = MAKE_SQLSTATE('R', 'C', '0', '0', '6');
inline constexpr int sqlstate_reused_request = MAKE_SQLSTATE('R', 'C', '0', '0', '7');
inline constexpr int sqlstate_unknown_redemption = MAKE_SQLSTATE('R', 'C', '0', '0', '8');
inline constexpr int sqlstate_insufficient = MAKE_SQLSTATE('R', 'C', '0', '0', '9');
inline constexpr int sqlstate_reserved = MAKE_SQLSTATE('R', 'C', '0', '1', '0');
inline constexpr int sqlstate_throttled = MAKE_SQLSTATE('R', 'C', '0', '1', '1');
inline constexpr int sqlstate_voided = MAKE_SQLSTATE('R', 'C', '0', '1', '2');
inline constexpr int sqlstate_reused_transfer = MAKE_SQLSTATE('R', 'C', '0', '1', '3');
// RC014 is a router's (router/sql/).

} // namespace coupon_guard
