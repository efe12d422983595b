// Coupons that this backend knows to be sold out, so that it need not look again: a popular coupon
// is asked for most when it is gone. sold_out.cpp says why that is never out of date.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// Whether the coupon is sold out now, if that is known without a look at the tables. False: look.
bool is_known_sold_out(int64 coupon_id, TimestampTz moment);

// Whether anything may be kept in mind: not by a transaction that has written, nor where quotas
// are not in use.
bool may_remember_sold_out(const installation &guard);

// Keeps in mind, which must be allowed, that the coupon was found sold out and that no hold of it
// has a deadline before until. returns is what unit_returns() said before the look.
void remember_sold_out(int64 coupon_id, TimestampTz until, uint64 returns);

} // namespace coupon_guard
