// One round of redeeming or confirming: what it is about, and how it ends.
#pragma once

#include "redeem/redeem.hpp"

namespace coupon_guard {

// One round: the request, and what is known so far.
struct redeem_round {
    const installation &guard;
    const redeem_request &request;
    const request_id *id; // in full, or null
    redeem_answer &answer;
    TimestampTz now;
    bool contended; // an earlier round ended undecided
};

// A round ends with an answer (yes), or must be played again (undecided).
outcome end_with(redeem_answer &answer, coupon_status what);
outcome end_with(redeem_answer &answer, coupon_status what, const redemption &made);

// Makes the hold a redemption; it has its unit. To be played again if its row has changed.
outcome confirm(const redeem_round &at, redemption hold);

} // namespace coupon_guard
