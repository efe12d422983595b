// Stacking: several coupons redeemed by one user, all or none.
#pragma once

#include "redeem.hpp"

namespace coupon_guard {

// Redeems the coupon of every request, or none: if one is refused, those that could have been
// redeemed get the status withheld. Works through the coupons in the order of their ids, so that
// two callers who name them in different order do not deadlock. Errors: as for redeem().
void redeem_all(const schema &objects, const redeem_request *requests, redeem_answer *answers,
                int count);

} // namespace coupon_guard
