// What became of a redemption: the SQL enum coupon_status, in its order.
#pragma once

namespace coupon_guard {

enum class coupon_status : unsigned char {
    redeemed,
    held,
    not_found,
    inactive,
    not_started,
    expired,
    already_redeemed,
    sold_out,
    withheld,
    voided,
};

inline constexpr int status_count = 10;

// Labels of the enum, by status.
inline constexpr const char *status_labels[status_count] = {
    "redeemed",         "held",     "not_found", "inactive", "not_started", "expired",
    "already_redeemed", "sold_out", "withheld",  "voided",
};

} // namespace coupon_guard
