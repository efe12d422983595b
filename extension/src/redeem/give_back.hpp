// What a row of the ledger gives back to the coupon's quotas when it is voided, wholly or in part,
// or confirmed for less.
#pragma once

#include "quota/coupon_limits.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

struct returned_shares {
    coupon_share shares[most_shares];
    int count;
};

// All that the row has; or what it has of the budget beyond the amount that it keeps. Of quotas
// that are set up, as they then stay; what may have to be waited for is waited for now.
returned_shares all_of(const installation &guard, const redemption &found);
returned_shares rest_of(const installation &guard, const redemption &found, int64 kept);

// Gives them back when the row is locked. The shares must live as long.
before_change before_returning(const returned_shares &returned);

// If triggers of the shop that ran meanwhile, since this command, have had a quota of the coupon
// counted anew, it is ended: the row may have been counted or not.
void settle_returned(const installation &guard, int64 coupon_id, CommandId since);

} // namespace coupon_guard
