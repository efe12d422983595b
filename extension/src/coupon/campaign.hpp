// Campaigns: limits over many coupons. A coupon's redemption counts under its campaign's limits as
// under its own.
#pragma once

#include "core/code_key.hpp"
#include "coupon/limited_row.hpp"

namespace coupon_guard {

struct campaign_row : limited_row {};
static_assert(std::is_trivially_copyable_v<campaign_row>);

// The campaign with this id, or the key of this name, in the newest committed state (and what the
// transaction itself did), whatever snapshot the caller's statement uses. False if there is none.
// Errors: 23514 for a cap, budget or limit below 1, which the table's constraints do not allow.
bool find_campaign(const installation &guard, int64 id, campaign_row &found);
bool find_campaign(const installation &guard, const code_key &name, campaign_row &found);

} // namespace coupon_guard
