#include "redeem/round.hpp"

#include "pg/earlier_commit.hpp"
#include "redeem/give_back.hpp"
#include "redeem/refusal.hpp"

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

void say_replayed(redeem_answer &answer) {
    answer.is_replayed = true;
    rest_on_earlier_commit();
}

void find_campaign_of(const installation &guard, coupon_row &coupon, campaign_row &found) {
    if (!find_campaign(guard, coupon.campaign_id, found))
        report_missing_campaign(coupon);
    if (!coupon.has_terms && found.has_terms) {
        coupon.terms = found.terms;
        coupon.has_terms = true;
    }
}

bool find_coupon_and_terms(const installation &guard, int64 id, coupon_row &found) {
    if (!find_coupon(guard, id, found))
        return false;
    campaign_row campaign;
    if (found.has_campaign)
        find_campaign_of(guard, found, campaign);
    return true;
}

outcome confirm(const redeem_round &at, redemption hold) {
    int64 amount = at.request.amount == 0 ? hold.amount : at.request.amount;
    if (amount > hold.amount)
        report_more_than_held(hold, amount);
    shares rest = {};
    if (amount < hold.amount)
        rest = rest_of(at.guard, hold, amount);
    CommandId before = GetCurrentCommandId(false);
    if (!is_yes(confirm_hold_row(at.guard, hold, at.now, amount, at.id, at.request.metadata,
                                 at.request.has_metadata, before_returning(rest))))
        return look_again();
    if (amount < hold.amount)
        settle_returned(at.guard, hold, before);
    hold.amount = amount;
    hold.hold_expires_at = no_deadline;
    hold.redeemed_at = at.now;
    return end_with(at.answer, coupon_status::redeemed, hold);
}

} // namespace coupon_guard
