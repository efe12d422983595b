#include "redeem/confirm.hpp"

#include "redeem/refusal.hpp"
#include "redeem/round.hpp"

namespace coupon_guard {

redeem_answer confirm_hold(const installation &guard, int64 id, int64 amount) {
    redeem_request no_request;
    memset(&no_request, 0, sizeof no_request);
    no_request.amount = amount;
    redeem_answer answer;
    until_decided([&] {
        redemption found;
        if (!find_redemption(guard, id, found))
            report_unknown_redemption(id);
        memset(&answer, 0, sizeof answer);
        answer.has_coupon = find_coupon_and_terms(guard, found.coupon_id, answer.coupon);
        const redeem_round at = {guard, no_request, nullptr, answer, GetCurrentTimestamp(),
                                 false, nullptr};
        if (found.has_lapsed || (!found.is_voided && found.hold_expires_at <= at.now))
            return end_with(answer, coupon_status::expired);
        if (found.is_voided)
            return end_with(answer, coupon_status::voided, found);
        if (is_hold(found))
            return confirm(at, found);
        say_replayed(answer);
        return end_with(answer, coupon_status::redeemed, found);
    });
    return answer;
}

} // namespace coupon_guard
