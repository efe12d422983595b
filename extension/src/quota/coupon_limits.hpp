// The limits of a coupon: its cap, of which each live row of the ledger has one unit, and its
// budget, of which it has its amount.
#pragma once

#include "coupon/coupon.hpp"
#include "quota/limit.hpp"

namespace coupon_guard {

extern const limit_rules coupon_cap_rules;
extern const limit_rules coupon_budget_rules;

inline quota_id cap_of(int64 coupon_id) {
    return {coupon_id, quota_kind::coupon_cap};
}
inline quota_id budget_of(int64 coupon_id) {
    return {coupon_id, quota_kind::coupon_budget};
}

// Of a coupon that is capped, that has a budget.
inline quota cap_of(const coupon_row &coupon) {
    Assert(is_capped(coupon));
    return {cap_of(coupon.id), coupon.max_redemptions, coupon.stripes};
}
inline quota budget_of(const coupon_row &coupon) {
    Assert(has_budget(coupon));
    return {budget_of(coupon.id), coupon.budget, coupon.stripes};
}

// What one redemption of the coupon, of this amount (0: none), claims, in the order of claims; how
// many. Errors: 22004 if the coupon has a budget and there is no amount.
int claims_of(const coupon_row &coupon, int64 amount, claim (&claims)[most_claims]);

// What a live row of this amount has of the coupon's quotas.
struct coupon_share {
    quota_id id;
    int64 units;
};
inline constexpr int most_shares = 2;
int shares_of(int64 coupon_id, int64 amount, coupon_share (&shares)[most_shares]);

// The shares whose quota is set up, and this stays so until the end of the transaction: for a live
// row that is to be changed; what may have to be waited for is waited for now.
int shares_set_up(const installation &guard, int64 coupon_id, int64 amount,
                  coupon_share (&shares)[most_shares]);
void return_shares(const installation &guard, const coupon_share *shares, int count);

} // namespace coupon_guard
