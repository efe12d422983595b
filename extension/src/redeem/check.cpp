#include "redeem/check.hpp"

#include "quota/quota.hpp"

namespace coupon_guard {

coupon_check check_coupon(const installation &guard, const user_id &user, const code_key &key) {
    coupon_check check;
    memset(&check, 0, sizeof check);
    check.has_offer = find_coupon(guard, key, check.offer);
    if (!check.has_offer) {
        check.status = status::not_found;
        return check;
    }
    TimestampTz now = GetCurrentTimestamp();
    user_state has = read_user_state(guard, check.offer, user, now);
    check.remaining_uses = Max(check.offer.max_per_user - has.uses, 0);
    if (is_capped(check.offer))
        check.remaining_units = count_remaining_units(guard, check.offer, now);
    check.status = judge_coupon(check.offer, now);
    if (has.has_live_hold || (check.status == status::redeemed && has.has_hold))
        check.status = status::redeemed;
    else if (check.status == status::redeemed && check.remaining_uses == 0)
        check.status = status::already_redeemed;
    else if (check.status == status::redeemed && is_capped(check.offer) &&
             check.remaining_units == 0)
        check.status = status::sold_out;
    return check;
}

} // namespace coupon_guard
