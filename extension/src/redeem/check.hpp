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
    limit_owner limited_by; // who refuses, if the coupon has a campaign
    bool is_by_shard;       // other shards have the rest of the limit that refuses
    // What the coupon and its campaign leave: the lesser of the two, or any number.
    int32 remaining_uses; // of this user; no_limit
    int64 remaining_units;
    int64 remaining_budget;
    TimestampTz retry_at; // if throttled
};
inline constexpr int64 any_number = PG_INT64_MAX;

// The check of a code that does not exist.
coupon_check nothing_found();

coupon_check check_coupon(const installation &guard, const user_id &user, const code_key &key);

} // namespace coupon_guard
