// Giving a redemption or hold back.
#pragma once

#include "ledger/ledger.hpp"

namespace coupon_guard {

// By its id, and its units with it; or this much of its amount (0: all), void when nothing is left.
// False if it had been voided already. Errors: RC008 for an unknown id; 22023 for more than its
// amount; else as for redeem().
bool void_redemption(const installation &guard, int64 id, Datum reason, bool has_reason,
                     int64 amount);

} // namespace coupon_guard
