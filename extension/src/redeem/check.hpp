// Looking, without redeeming.
#pragma once

#include "catalog/status.hpp"
#include "coupon/coupon.hpp"
#include "ledger/ledger.hpp"

namespace coupon_guard {

// What redeem() would answer to this user now, and what is left. Changes and locks nothing, waits
// for nobody: transactions still open count as if they had not begun.
struct coupon_check {
    coupon_status status;
    bool has_coupon;
    coupon_row coupon;
    int32 remaining_uses;  // of this user; meaningful if the coupon has a limit per user
    int64 remaining_units; // meaningful if the coupon is capped
};
coupon_check check_coupon(const installation &guard, const user_id &user, const code_key &key);

} // namespace coupon_guard
