// The cap of a coupon as a limit: each live row of its ledger uses one unit.
#pragma once

#include "coupon/coupon.hpp"
#include "quota/limit.hpp"

namespace coupon_guard {

extern const limit_rules coupon_cap_rules;

inline quota_id cap_of(int64 coupon_id) {
    return {coupon_id, quota_kind::coupon_cap};
}

// Of a coupon that is capped.
inline quota cap_of(const coupon_row &coupon) {
    Assert(is_capped(coupon));
    return {cap_of(coupon.id), coupon.max_redemptions, coupon.stripes};
}

} // namespace coupon_guard
