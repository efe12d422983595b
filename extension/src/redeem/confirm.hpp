// Turning a hold into a redemption.
#pragma once

#include "redeem/redeem.hpp"

namespace coupon_guard {

// By the id of the hold. Status expired if its deadline has passed, voided if it was
// voided before that. Errors: RC008 for an unknown id; else as for redeem().
redeem_answer confirm_hold(const installation &guard, int64 id);

} // namespace coupon_guard
