// Coupons and campaigns this backend has read, kept as long as they are certainly unchanged.
#pragma once

#include "coupon/campaign.hpp"
#include "coupon/coupon.hpp"

namespace coupon_guard {

// The coupon as it is now, if that is known without a look at the table.
bool find_cached_coupon(const installation &guard, const code_key &key, coupon_row &found);

// To be asked before a coupon or campaign is read that may then be kept.
uint64 changes_before_reading();

// Keeps a coupon whose row was settled (see is_settled()) when it was read; changes is what
// changes_before_reading() said.
void cache_coupon(const installation &guard, const code_key &key, const coupon_row &coupon,
                  uint64 changes);

// The same of campaigns, by id.
bool find_cached_campaign(const installation &guard, int64 id, campaign_row &found);
void cache_campaign(const installation &guard, const campaign_row &campaign, uint64 changes);

} // namespace coupon_guard
