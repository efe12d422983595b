// What a redemption claims of the quotas of its coupon and of the coupon's campaign, and what a
// row of the ledger has of them: one unit of each cap, its amount of each budget.
#pragma once

#include "coupon/campaign.hpp"
#include "coupon/coupon.hpp"
#include "ledger/ledger.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

inline quota_id cap_of(limit_owner owner, int64 id) {
    return {id, owner == limit_owner::campaign ? quota_kind::campaign_cap : quota_kind::coupon_cap};
}
inline quota_id budget_of(limit_owner owner, int64 id) {
    return {id, owner == limit_owner::campaign ? quota_kind::campaign_budget
                                               : quota_kind::coupon_budget};
}

// Of a row that is capped, that has a budget.
quota cap_of(limit_owner owner, const limited_row &row);
quota budget_of(limit_owner owner, const limited_row &row);

// What one redemption of the coupon, of this amount (0: none), claims, in the order of claims; how
// many. campaign is null if the coupon has none. Errors: 22004 if there is a budget and no amount.
int claims_of(const coupon_row &coupon, const campaign_row *campaign, int64 amount,
              claim (&claims)[most_claims]);

// What a live row has of a quota.
struct share {
    quota_id id;
    int64 units;
};
inline constexpr int most_shares = 4;

struct shares {
    share of[most_shares];
    int count;
};

// What a live row of the ledger has, in the order of claims; or of budgets only, if it has so much
// of them. Whether there are such limits is not looked at.
shares shares_of(const redemption &row);
shares budget_shares_of(const redemption &row, int64 amount);

// Those whose quota is set up, and this stays so until the end of the transaction: for a live row
// that is to be changed; what may have to be waited for is waited for now.
shares set_up_among(const installation &guard, const shares &all);

void return_shares(const installation &guard, const shares &returned);

} // namespace coupon_guard
