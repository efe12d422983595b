// The rows of coupon_quota: reading and changing one stripe. quota.cpp says what they are for.
#pragma once

#include "coupon.hpp"
#include "pg/scan.hpp"

namespace coupon_guard {

// Exists as long as the quota is set up, even with no unit left.
inline constexpr int32 anchor = 0;

struct stripe_row {
    int32 stripe;
    int64 remaining;
    ItemPointerData tid;
};

// Stripes whose index columns are as the keys say; locks table and index in this mode.
index_scan begin_quota_scan(const schema &objects, Snapshot snapshot, ScanKeyData *keys, int count,
                            LOCKMODE lock);

// The stripe at hand in a scan.
stripe_row read_stripe(const quota_columns &columns, const index_scan &scan);

// False if the stripe exists already, committed or not.
bool insert_stripe(const schema &objects, int64 coupon_id, int32 stripe, int64 remaining);

// Gives the version of a stripe that was read another number of units; no unit at all deletes it,
// but for the anchor. False, or wait, if another transaction has that version.
bool change_stripe(const schema &objects, Relation quota, int64 coupon_id, const stripe_row &read,
                   int64 remaining, bool wait);

// The units left in the newest committed state; false if the quota is not set up.
bool read_quota(const schema &objects, int64 coupon_id, int64 &remaining);

// How many stripes the coupon's quota is divided over when it is set up.
int32 stripe_count(const coupon &offer);

} // namespace coupon_guard
