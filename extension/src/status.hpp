// What became of a redemption: the SQL enum coupon_status, in its order.
#pragma once

namespace coupon_guard {

enum class status : unsigned char {
    redeemed,
    not_found,
    inactive,
    not_started,
    expired,
    already_redeemed,
};

inline constexpr int status_count = 6;

// Labels of the enum, by status.
inline constexpr const char *status_labels[status_count] = {
    "redeemed", "not_found", "inactive", "not_started", "expired", "already_redeemed",
};

} // namespace coupon_guard
