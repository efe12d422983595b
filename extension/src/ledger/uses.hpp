// What the ledger says of a user and a coupon, or a campaign.
#pragma once

#include "coupon/campaign.hpp"
#include "ledger/ledger.hpp"

namespace coupon_guard {

// A user's uses of a coupon or of a campaign's coupons, and whether another one is allowed.
struct uses_of_user {
    outcome is_allowed;   // no: the limit is reached; latest is the latest redemption, or hold
    int32 free_use_no;    // if it is allowed
    int32 count;          // live redemptions and holds, as far as they were counted
    bool has_hold;        // latest is a hold that the request may use: before all else
    bool has_lapsed_hold; // latest is another request's hold, which has passed its deadline
    redemption latest;
};
static_assert(std::is_trivially_destructible_v<uses_of_user>);

// What the ledger says of this user and coupon at this moment, transactions in progress included.
// A hold belongs to the request (may be null) that placed it: a request may use its own, one that
// no request id was given for, and any if it has no id itself. Reads only.
uses_of_user read_uses(const installation &guard, const coupon_row &coupon, const user_id &user,
                       const request_id *request, TimestampTz moment);

// The same of the campaign and its limit. A hold is nobody's to use here: that is read with the
// coupon.
uses_of_user read_uses(const installation &guard, const campaign_row &campaign, const user_id &user,
                       TimestampTz moment);

// The same in the newest committed state, for those who only look.
struct committed_uses {
    int32 count; // redemptions and live holds
    bool has_hold;
    bool has_live_hold;
};
committed_uses read_committed_uses(const installation &guard, const coupon_row &coupon,
                                   const user_id &user, TimestampTz moment);
committed_uses read_committed_uses(const installation &guard, const campaign_row &campaign,
                                   const user_id &user, TimestampTz moment);

} // namespace coupon_guard
