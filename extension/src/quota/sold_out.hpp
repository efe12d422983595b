// Quotas that this backend knows to have too few units, so that it need not look again: a popular
// coupon is asked for most when it is gone. sold_out.cpp says why that is never out of date.
#pragma once

#include "quota/quota.hpp"

namespace coupon_guard {

// Whether the quota has too few units now for this amount, if that is known without reading the
// tables. False: it is not known.
bool is_known_too_few(const quota_id &id, int64 amount, TimestampTz moment);

// Whether anything may be remembered: not by a transaction that has written, nor where quotas are
// not in use.
bool may_remember_sold_out(const installation &guard);

// Remembers, which must be allowed, that the quota was found to have too few units for this amount,
// and that no hold on it has a deadline before until. returns is what unit_returns() said before
// the tables were read.
void remember_too_few(const quota_id &id, int64 amount, TimestampTz until, uint64 returns);

} // namespace coupon_guard
