// Refusals and misuse as errors.
#pragma once

#include "redeem/redeem.hpp"

namespace coupon_guard {

// Raises the error of a refusal (RC001 to RC006, RC009 to RC012), as redeem_coupon_strict()
// does. code is what the customer typed.
[[noreturn]] void report_refusal(const redeem_request &request, const redeem_answer &answer,
                                 Datum code);

// 22023: a hold that would never end.
[[noreturn]] void report_endless_hold();

// RC007: the request id has been used for another coupon.
[[noreturn]] void report_reused_request(const request_id &request);

// 22023: the hold, the redemption has less than this amount.
[[noreturn]] void report_more_than_held(const redemption &hold, int64 amount);
[[noreturn]] void report_more_than_redeemed(const redemption &found, int64 amount);

// 23503: the coupon's campaign does not exist.
[[noreturn]] void report_missing_campaign(const coupon_row &coupon);

// 27000: what the redemption has called has taken its coupon or campaign away.
[[noreturn]] void report_lost_owner(limit_owner owner, int64 id);

// RC008: there is no redemption with this id.
[[noreturn]] void report_unknown_redemption(int64 id);

} // namespace coupon_guard
