// What a row of the ledger gives back to the quotas that it has units of when it is voided, wholly
// or in part, or confirmed for less.
#pragma once

#include "quota/shares.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

// All that the row has; or what it has of budgets beyond the amount that it keeps. Of quotas
// that are set up, as they then stay; what may have to be waited for is waited for now.
shares all_of(const installation &guard, const redemption &found);
shares rest_of(const installation &guard, const redemption &found, int64 kept);

// Gives them back when the row is locked. The shares must live as long.
before_change before_returning(const shares &returned);

// If triggers of the shop that ran meanwhile, since this command, have had a quota counted anew
// under which the row counts, it is ended: the row may have been counted or not.
void settle_returned(const installation &guard, const redemption &row, CommandId since);

} // namespace coupon_guard
