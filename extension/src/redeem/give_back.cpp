#include "redeem/give_back.hpp"

#include "quota/quota_setup.hpp"

namespace coupon_guard {

shares all_of(const installation &guard, const redemption &found) {
    return set_up_among(guard, shares_of(found));
}

shares rest_of(const installation &guard, const redemption &found, int64 kept) {
    Assert(kept > 0 && kept < found.amount);
    return set_up_among(guard, budget_shares_of(found, found.amount - kept));
}

before_change before_returning(const shares &returned) {
    return {[](const installation &guard, const void *context) {
                return_shares(guard, *static_cast<const shares *>(context));
            },
            &returned};
}

void settle_returned(const installation &guard, const redemption &row, CommandId since) {
    if (catalog_of(guard).ledger_plan.changes_plainly)
        return;
    const shares had = shares_of(row);
    for (int i = 0; i < had.count; i++)
        end_quota_newer_than(guard, had.of[i].id, since);
}

} // namespace coupon_guard
