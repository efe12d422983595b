// Turning a hold into a redemption.
#pragma once

#include "redeem/redeem.hpp"

namespace coupon_guard {

// By the id of the hold; for this amount (0: all that is held), the rest going back. Status expired
// if its deadline has passed, voided if it was voided before that. Errors: RC008 for an unknown id;
// 22023 for more than is held; else as for redeem().
redeem_answer confirm_hold(const installation &guard, int64 id, int64 amount);

} // namespace coupon_guard
