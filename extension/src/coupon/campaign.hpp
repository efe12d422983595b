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

// Whether there is any campaign; and whether there is a coupon that names this one, or any one. In
// the newest committed state.
bool has_campaigns(const installation &guard);
bool has_coupons(const installation &guard, int64 campaign_id);
bool has_coupons(const installation &guard);

} // namespace coupon_guard
