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
    insufficient,
    reserved,
    claimed,
    released,
    throttled,
    unavailable, // which only routers answer (docs/shards.md)
};

inline constexpr int status_count = 16;

// The statuses that objects of 0.1.0 have; the library serves those until ALTER EXTENSION UPDATE.
inline constexpr int first_status_count = 10;

// Labels of the enum, by status.
inline constexpr const char *status_labels[status_count] = {
    "redeemed",         "held",     "not_found", "inactive",    "not_started",  "expired",
    "already_redeemed", "sold_out", "withheld",  "voided",      "insufficient", "reserved",
    "claimed",          "released", "throttled", "unavailable",
};

} // namespace coupon_guard
