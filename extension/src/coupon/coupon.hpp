// Coupons: finding a coupon, and judging whether it may be redeemed at a given moment.
#pragma once

#include "catalog/catalog.hpp"
#include "core/code_key.hpp"

namespace coupon_guard {

inline constexpr int32 no_limit = PG_INT32_MAX;
inline constexpr int64 no_cap = -1;

struct coupon_row {
    int64 id;
    bool active;
    TimestampTz starts_at;  // -infinity if NULL
    TimestampTz expires_at; // infinity if NULL
    int64 max_redemptions;  // no_cap if NULL
    int32 max_per_user;     // no_limit if NULL
    int32 stripes;          // 0 if NULL
    Datum terms;            // jsonb, the caller's copy; see has_terms
    bool has_terms;
};
static_assert(std::is_trivially_copyable_v<coupon_row>);

inline bool is_capped(const coupon_row &coupon) {
    return coupon.max_redemptions != no_cap;
}

// The coupon with this key or id in the newest committed state (and what the transaction itself
// did), whatever snapshot the caller's statement uses. False if there is none.
// Errors: 23514 for a cap or limit below 1, which the table's constraints do not allow.
bool find_coupon(const installation &guard, const code_key &key, coupon_row &found);
bool find_coupon(const installation &guard, int64 id, coupon_row &found);

// Locks the coupon's row until the end of the transaction. False if there is none.
bool lock_coupon(const installation &guard, int64 id, LockTupleMode mode);
// The same without waiting: false also if another transaction has it.
bool lock_coupon_at_once(const installation &guard, int64 id, LockTupleMode mode);

// redeemed if the coupon may be redeemed at this moment, else the reason why not.
coupon_status judge_coupon(const coupon_row &coupon, TimestampTz moment);

} // namespace coupon_guard
