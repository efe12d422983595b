// Coupons: finding a coupon, and judging whether it may be redeemed at a given moment.
#pragma once

#include "core/code_key.hpp"
#include "coupon/limited_row.hpp"

namespace coupon_guard {

struct coupon_row : limited_row {
    Datum holder; // text, the caller's copy; see has_holder
    bool has_holder;
    bool has_campaign;
    int64 campaign_id;
};
static_assert(std::is_trivially_copyable_v<coupon_row>);

// Whether only one customer asks for such a coupon, and seldom twice: one that has a holder, or
// that a claim may give one. Backends do not cache it, so need not hear of it when it gets another.
inline bool is_personal(const coupon_row &coupon) {
    return coupon.has_holder || (coupon.has_campaign && coupon.max_redemptions == 1);
}

// The coupon with this key or id in the newest committed state (and what the transaction itself
// did), whatever snapshot the caller's statement uses. False if there is none.
// Errors: 23514 for a cap, budget or limit below 1, which the table's constraints do not allow.
bool find_coupon(const installation &guard, const code_key &key, coupon_row &found);
bool find_coupon(const installation &guard, int64 id, coupon_row &found);

// redeemed if the user (text, as in the ledger) may redeem the coupon at this moment, else the
// reason why not.
coupon_status judge_coupon(const coupon_row &coupon, Datum user, TimestampTz moment);

} // namespace coupon_guard
