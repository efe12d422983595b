#include "redeem/round.hpp"

namespace coupon_guard {

outcome end_with(redeem_answer &answer, coupon_status what) {
    answer.status = what;
    return decided(true);
}

outcome end_with(redeem_answer &answer, coupon_status what, const redemption &made) {
    answer.made = made;
    answer.has_redemption = true;
    return end_with(answer, what);
}

outcome confirm(const redeem_round &at, redemption hold) {
    if (!is_yes(confirm_hold_row(at.guard, hold, at.now, at.id, at.request.metadata,
                                 at.request.has_metadata)))
        return look_again();
    hold.hold_expires_at = no_deadline;
    hold.redeemed_at = at.now;
    return end_with(at.answer, coupon_status::redeemed, hold);
}

} // namespace coupon_guard
