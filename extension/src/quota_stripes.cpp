#include "quota_stripes.hpp"

#include "pg/heap_write.hpp"
#include "pg/write.hpp"
#include "quota.hpp"

namespace coupon_guard {
namespace {

index_entry quota_entry(const schema &objects) {
    return {objects.quota_index, {objects.quota.coupon_id, objects.quota.stripe}, 2, true};
}

} // namespace

index_scan begin_quota_scan(const schema &objects, Snapshot snapshot, ScanKeyData *keys, int count,
                            LOCKMODE lock) {
    LockRelationOid(objects.quota_table, lock);
    return begin_scan(objects.quota_table, objects.quota_index, snapshot, keys, count, lock);
}

stripe_row read_stripe(const quota_columns &columns, const index_scan &scan) {
    return {DatumGetInt32(column_of(scan, columns.stripe)),
            DatumGetInt64(column_of(scan, columns.remaining)), scan.row->tts_tid};
}

bool insert_stripe(const schema &objects, int64 coupon_id, int32 stripe, int64 remaining) {
    Datum values[3];
    const bool nulls[3] = {};
    values[objects.quota.coupon_id - 1] = Int64GetDatum(coupon_id);
    values[objects.quota.stripe - 1] = Int32GetDatum(stripe);
    values[objects.quota.remaining - 1] = Int64GetDatum(remaining);
    const index_entry entry = quota_entry(objects);
    LockRelationOid(objects.quota_table, RowExclusiveLock);
    return insert_plain_row(objects.quota_table, values, nulls, &entry, 1);
}

#ifdef USE_ASSERT_CHECKING
// tableam.h lets table_tuple_update() be asked not to wait, and heap_update() does as asked; but it
// asserts that nobody asks where there is something to wait for. So where assertions are checked
// the row is locked first, and then there is nothing.
static bool lock_without_waiting(Relation quota, ItemPointerData tid) {
    TupleTableSlot *row = table_slot_create(quota, nullptr);
    bool is_locked = lock_row(quota, &tid, row, LockWaitSkip) == row_lock::locked;
    ExecDropSingleTupleTableSlot(row);
    return is_locked;
}
#endif

bool change_stripe(const schema &objects, Relation quota, int64 coupon_id, const stripe_row &read,
                   int64 remaining, bool wait) {
    ItemPointerData tid = read.tid;
    TM_FailureData failure;
    CommandId command = GetCurrentCommandId(true);

#ifdef USE_ASSERT_CHECKING
    if (!wait && !lock_without_waiting(quota, tid))
        return false;
    wait = true;
#endif

    if (remaining == 0 && read.stripe != anchor)
        return table_tuple_delete(quota, &tid, command, InvalidSnapshot, InvalidSnapshot, wait,
                                  &failure, false) == TM_Ok;

    Datum values[3];
    bool nulls[3] = {};
    values[objects.quota.coupon_id - 1] = Int64GetDatum(coupon_id);
    values[objects.quota.stripe - 1] = Int32GetDatum(read.stripe);
    values[objects.quota.remaining - 1] = Int64GetDatum(remaining);
    TupleTableSlot *row = MakeSingleTupleTableSlot(RelationGetDescr(quota), &TTSOpsHeapTuple);
    ExecForceStoreHeapTuple(heap_form_tuple(RelationGetDescr(quota), values, nulls), row, true);
    LockTupleMode lock;
    index_updates updates;
    bool changed = table_tuple_update(quota, &tid, row, command, InvalidSnapshot, InvalidSnapshot,
                                      wait, &failure, &lock, &updates) == TM_Ok;
    if (changed && needs_index_entries(updates))
        insert_plain_entry(quota, &row->tts_tid, values, quota_entry(objects));
    ExecDropSingleTupleTableSlot(row);
    return changed;
}

bool read_quota(const schema &objects, int64 coupon_id, int64 &remaining) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_quota_scan(objects, newest, keys, lengthof(keys), AccessShareLock);
    bool is_set_up = false;
    remaining = 0;
    while (next_row(scan)) {
        stripe_row found = read_stripe(objects.quota, scan);
        is_set_up |= found.stripe == anchor;
        remaining += found.remaining;
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    return is_set_up;
}

int32 stripe_count(const coupon &offer) {
    return static_cast<int32>(
        Max(Min(offer.max_redemptions, static_cast<int64>(quota_stripes)), 1));
}

} // namespace coupon_guard
