// The rows of coupon_quota: reading and changing one stripe, and giving units back.
#pragma once

#include "pg/scan.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

// Exists as long as the quota is set up, even with no unit left.
inline constexpr int32 anchor = 0;

struct stripe_row {
    int32 stripe;
    int32 generation;
    int64 remaining;
    ItemPointerData tid;
};

// Scan keys for all stripes of a quota, or for one.
struct stripe_keys {
    ScanKeyData of[3];
    int count;
};
stripe_keys keys_of(const quota_id &id);
stripe_keys keys_of(const quota_id &id, int32 stripe);

// Whether quotas are in use, with coupon_quota locked until the end of the transaction: by those
// who use them in ROW EXCLUSIVE mode; in SHARE mode by those who do without (see claims.cpp).
bool lock_quotas(const installation &guard);

// Stripes as the keys say, which must live until end_scan(): in the newest committed state; with
// those in progress; or all versions, whatever became of them. The table must be locked but for the
// first.
index_scan begin_quota_scan(const installation &guard, stripe_keys &keys);
index_scan begin_dirty_quota_scan(const installation &guard, SnapshotData &dirty,
                                  stripe_keys &keys);
index_scan begin_version_scan(const installation &guard, stripe_keys &keys);

// The stripe at hand in a scan.
stripe_row read_stripe(const installation &guard, const index_scan &scan);

// Reads a stripe at the place where it was left, if it is still there: the newest version,
// committed and with nobody changing it. row has it pinned then.
bool read_stripe_at(const installation &guard, Relation table, ItemPointerData tid,
                    const quota_id &id, TupleTableSlot *row, stripe_row &found);

// Whether the stripe belongs to a quota that has been kept right ever since it was set up.
bool is_current(const installation &guard, const stripe_row &read);

// False if the stripe exists already, committed or not.
bool insert_stripe(const installation &guard, const quota_id &id, int32 stripe, int64 remaining);

// Gives the version of a stripe that was read another number of units; no unit at all deletes it,
// but for the anchor. False, or wait, if another transaction has that version. read is told where
// the new version is; no place if that is not known.
bool change_stripe(const installation &guard, Relation table, const quota_id &id, stripe_row &read,
                   int64 remaining, bool wait);

// Deletes the version of a stripe at tid, waiting for whoever has it. False if it has changed
// since.
bool delete_stripe(const installation &guard, Relation table, ItemPointerData tid);

// The units left in the newest committed state; false if the quota is not set up.
bool read_quota(const installation &guard, const quota_id &id, int64 &remaining);

// Gives units back to a quota that is set up, never waiting for anyone.
void return_units(const installation &guard, const quota_id &id, int64 amount);

} // namespace coupon_guard
