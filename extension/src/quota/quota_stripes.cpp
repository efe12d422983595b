// A stripe is written the short way as long as nothing about the table needs the executor: a shop's
// index or trigger on it, or that of a tool which is rebuilding the table, is served all the same.
//
// A change waits for nobody, or (wait) for the one transaction that has the stripe, with nothing
// held of this coupon; see quota.cpp.

#include "quota/quota_stripes.hpp"

#include "pg/heap_write.hpp"
#include "pg/write.hpp"

namespace coupon_guard {
namespace {

constexpr int quota_column_count = 4;

struct stripe_values {
    column_value of[quota_column_count];
};

stripe_values values_of(const catalog &tables, int64 coupon_id, int32 stripe, int64 remaining) {
    Assert(remaining >= 0);
    return {{
        {tables.quota.coupon_id, Int64GetDatum(coupon_id), false, true},
        {tables.quota.stripe, Int32GetDatum(stripe), false, true},
        {tables.quota.generation, Int32GetDatum(tables.generation), false, true},
        {tables.quota.remaining, Int64GetDatum(remaining), false, true},
    }};
}

bool update_stripe_plainly(const catalog &tables, Relation quota, ItemPointerData &tid,
                           const stripe_values &values, bool wait) {
    Datum row[most_plain_columns];
    bool nulls[most_plain_columns];
    memset(nulls, true, sizeof(bool) * tables.quota_plan.column_count);
    for (const column_value &value : values.of) {
        row[value.column - 1] = value.value;
        nulls[value.column - 1] = false;
    }
    return update_plainly(tables.quota_plan, quota, tid, row, nulls, wait);
}

// Through the executor: with values, another version; without, deletes the row.
bool change_through_executor(const installation &guard, Relation quota, ItemPointerData tid,
                             const stripe_values *values, bool wait) {
    TupleTableSlot *row = table_slot_create(quota, nullptr);
    LockTupleMode mode = values == nullptr ? LockTupleExclusive : LockTupleNoKeyExclusive;
    bool locked =
        lock_row(quota, &tid, row, wait ? LockWaitBlock : LockWaitSkip, mode) == row_lock::locked;
    if (locked && values != nullptr)
        update_row(catalog_of(guard).quota_plan, row, values->of, quota_column_count);
    else if (locked)
        delete_row(catalog_of(guard).quota_plan, row);
    ExecDropSingleTupleTableSlot(row);
    return locked;
}

bool delete_version(const installation &guard, Relation quota, ItemPointerData tid, bool wait) {
    const write_plan &plan = catalog_of(guard).quota_plan;
    return plan.changes_plainly ? delete_plainly(plan, quota, tid, wait)
                                : change_through_executor(guard, quota, tid, nullptr, wait);
}

} // namespace

bool lock_quotas(const installation &guard) {
    for (;;) {
        bool in_use = catalog_of(guard).follows_changes;
        LOCKMODE mode = in_use ? RowExclusiveLock : ShareLock;
        if (lock_table(guard, &catalog::quota_table, mode).follows_changes == in_use)
            return in_use;
    }
}

index_scan begin_quota_scan(const installation &guard, ScanKeyData *keys, int count) {
    const catalog &tables = lock_table(guard, &catalog::quota_table, AccessShareLock);
    return begin_scan(tables.quota_table, tables.quota_index, keys, count);
}

index_scan begin_dirty_quota_scan(const installation &guard, SnapshotData &dirty, ScanKeyData *keys,
                                  int count) {
    const catalog &tables = catalog_of(guard);
    return begin_dirty_scan(tables.quota_table, tables.quota_index, dirty, keys, count);
}

index_scan begin_version_scan(const installation &guard, ScanKeyData *keys, int count) {
    const catalog &tables = catalog_of(guard);
    return begin_version_scan(tables.quota_table, tables.quota_index, keys, count);
}

stripe_row read_stripe(const installation &guard, const index_scan &scan) {
    const quota_columns &columns = catalog_of(guard).quota;
    return {DatumGetInt32(column_of(scan, columns.stripe)),
            DatumGetInt32(column_of(scan, columns.generation)),
            DatumGetInt64(column_of(scan, columns.remaining)), scan.row->tts_tid};
}

bool read_stripe_at(const installation &guard, Relation quota, ItemPointerData tid, int64 coupon_id,
                    TupleTableSlot *row, stripe_row &found) {
    // VACUUM may have truncated the table since.
    if (!ItemPointerIsValid(&tid) ||
        ItemPointerGetBlockNumber(&tid) >= RelationGetNumberOfBlocks(quota) ||
        !table_tuple_fetch_row_version(quota, &tid, SnapshotSelf, row))
        return false;
    // Another row may have its place by now: it is the stripe only if it says so.
    const quota_columns &columns = catalog_of(guard).quota;
    bool is_null[4];
    int64 of_coupon = DatumGetInt64(slot_getattr(row, columns.coupon_id, &is_null[0]));
    found.stripe = DatumGetInt32(slot_getattr(row, columns.stripe, &is_null[1]));
    found.generation = DatumGetInt32(slot_getattr(row, columns.generation, &is_null[2]));
    found.remaining = DatumGetInt64(slot_getattr(row, columns.remaining, &is_null[3]));
    found.tid = tid;
    return !is_null[0] && !is_null[1] && !is_null[2] && !is_null[3] && of_coupon == coupon_id;
}

bool is_current(const installation &guard, const stripe_row &read) {
    const catalog &tables = catalog_of(guard);
    return tables.follows_changes && read.generation == tables.generation && read.remaining >= 0;
}

bool insert_stripe(const installation &guard, int64 coupon_id, int32 stripe, int64 remaining) {
    const catalog &tables = catalog_of(guard);
    const stripe_values values = values_of(tables, coupon_id, stripe, remaining);
    return insert_row(tables.quota_plan, values.of, quota_column_count);
}

bool change_stripe(const installation &guard, Relation quota, int64 coupon_id, stripe_row &read,
                   int64 remaining, bool wait) {
    ItemPointerData tid = read.tid;
    ItemPointerSetInvalid(&read.tid);
    if (remaining == 0 && read.stripe != anchor)
        return delete_version(guard, quota, tid, wait);
    const catalog &tables = catalog_of(guard);
    const stripe_values values = values_of(tables, coupon_id, read.stripe, remaining);
    if (!tables.quota_plan.changes_plainly)
        return change_through_executor(guard, quota, tid, &values, wait);
    if (!update_stripe_plainly(tables, quota, tid, values, wait))
        return false;
    read.tid = tid;
    return true;
}

bool delete_stripe(const installation &guard, Relation quota, ItemPointerData tid) {
    return delete_version(guard, quota, tid, true);
}

bool read_quota(const installation &guard, int64 coupon_id, int64 &remaining) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    index_scan scan = begin_quota_scan(guard, keys, lengthof(keys));
    bool is_set_up = false;
    remaining = 0;
    while (next_row(scan)) {
        stripe_row found = read_stripe(guard, scan);
        if (!is_current(guard, found))
            continue;
        is_set_up |= found.stripe == anchor;
        remaining += found.remaining;
    }
    end_scan(scan);
    return is_set_up;
}

} // namespace coupon_guard
