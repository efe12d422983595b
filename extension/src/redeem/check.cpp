#include "redeem/check.hpp"

#include "ledger/uses.hpp"
#include "quota/claims.hpp"
#include "quota/coupon_cap.hpp"

namespace coupon_guard {

coupon_check check_coupon(const installation &guard, const user_id &user, const code_key &key) {
    coupon_check check;
    memset(&check, 0, sizeof check);
    check.has_coupon = find_coupon(guard, key, check.coupon);
    if (!check.has_coupon) {
        check.status = coupon_status::not_found;
        return check;
    }
    TimestampTz now = GetCurrentTimestamp();
    committed_uses has = read_committed_uses(guard, check.coupon, user, now);
    check.remaining_uses = Max(check.coupon.max_per_user - has.count, 0);
    if (is_capped(check.coupon))
        check.remaining_units = count_remaining_units(guard, cap_of(check.coupon), now);
    check.status = judge_coupon(check.coupon, now);
    if (has.has_live_hold || (check.status == coupon_status::redeemed && has.has_hold))
        check.status = coupon_status::redeemed;
    else if (check.status == coupon_status::redeemed && check.remaining_uses == 0)
        check.status = coupon_status::already_redeemed;
    else if (check.status == coupon_status::redeemed && is_capped(check.coupon) &&
             check.remaining_units == 0)
        check.status = coupon_status::sold_out;
    return check;
}

} // namespace coupon_guard
