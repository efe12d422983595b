#include "redeem/give_back.hpp"

#include "quota/quota_setup.hpp"

namespace coupon_guard {

returned_shares all_of(const installation &guard, const redemption &found) {
    returned_shares returned;
    returned.count = shares_set_up(guard, found.coupon_id, found.amount, returned.shares);
    return returned;
}

returned_shares rest_of(const installation &guard, const redemption &found, int64 kept) {
    Assert(kept > 0 && kept < found.amount);
    const quota_id budget = budget_of(found.coupon_id);
    returned_shares returned = {};
    if (is_quota_set_up(guard, budget))
        returned.shares[returned.count++] = {budget, found.amount - kept};
    return returned;
}

before_change before_returning(const returned_shares &returned) {
    return {[](const installation &guard, const void *context) {
                auto shares = static_cast<const returned_shares *>(context);
                return_shares(guard, shares->shares, shares->count);
            },
            &returned};
}

void settle_returned(const installation &guard, int64 coupon_id, CommandId since) {
    if (catalog_of(guard).ledger_plan.changes_plainly)
        return;
    end_quota_newer_than(guard, cap_of(coupon_id), since);
    end_quota_newer_than(guard, budget_of(coupon_id), since);
}

} // namespace coupon_guard
