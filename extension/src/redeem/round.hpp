// One round of redeeming or confirming: what it is about, and how it ends.
#pragma once

#include "coupon/campaign.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

// One round: the request, and what is known so far.
struct redeem_round {
    const installation &guard;
    const redeem_request &request;
    const request_id *id; // in full, or null
    redeem_answer &answer;
    TimestampTz now;
    bool contended;               // an earlier round ended undecided
    const campaign_row *campaign; // of the coupon; null if it has none, or is not looked at
    CommandId begun;              // before the coupon was read
};

// A round ends with an answer (yes), or must be played again (undecided).
outcome end_with(redeem_answer &answer, coupon_status what);
outcome end_with(redeem_answer &answer, coupon_status what, const redemption &made);

// The answer says what an earlier call has done.
void say_replayed(redeem_answer &answer);

// The campaign of a coupon that has one; its terms become those of a coupon without terms of its
// own. Errors: 23503 if there is no such campaign.
void find_campaign_of(const installation &guard, coupon_row &coupon, campaign_row &found);

// The coupon of a redemption that was made before, its terms likewise. False if it has gone.
bool find_coupon_and_terms(const installation &guard, int64 id, coupon_row &found);

// Makes the hold a redemption; it has its unit. To be played again if its row has changed.
outcome confirm(const redeem_round &at, redemption hold);

} // namespace coupon_guard
