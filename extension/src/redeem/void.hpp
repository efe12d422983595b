// Giving a redemption or hold back.
#pragma once

#include "ledger/ledger.hpp"

namespace coupon_guard {

// By its id, and its unit with it. False if that had been done already.
// Errors: RC008 for an unknown id; else as for redeem().
bool void_redemption(const installation &guard, int64 id, Datum reason, bool has_reason);

} // namespace coupon_guard
