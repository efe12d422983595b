// Several coupons redeemed by one user, all or none.
#pragma once

#include "redeem/redeem.hpp"

namespace coupon_guard {

// More codes than anybody stacks; each is a redemption of its own, in one subtransaction.
inline constexpr int most_codes = 1000;

// Redeems the coupon of every request, or none: if one is refused, those that could have been
// redeemed get the status withheld. Works through the coupons in the order of their ids, so that
// two callers who name them in different order do not deadlock. Of requests for one coupon each
// gets a part number of its own. spent: what each has taken. Errors: as for redeem().
void redeem_coupons(const installation &guard, redeem_request *requests, redeem_answer *answers,
                    tally *spent, int count);

} // namespace coupon_guard
