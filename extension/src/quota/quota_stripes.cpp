// A stripe is written the short way as long as nothing about the table needs the executor: a shop's
// index or trigger on it, or that of a tool which is rebuilding the table, is served all the same.
//
// A change waits for nobody, or (wait) for the one transaction that has the stripe, with nothing
// held of this quota; see claims.cpp.

#include "quota/quota_stripes.hpp"

#include "catalog/invalidation.hpp"
#include "pg/heap_write.hpp"
#include "pg/write.hpp"

namespace coupon_guard {
namespace {

constexpr int quota_column_count = 5;

// Stripes beyond this number take units that come back while all others are locked.
constexpr int32 first_extra_stripe = 1 << 20;

struct stripe_values {
    column_value of[quota_column_count];
};

stripe_values values_of(const catalog &tables, const quota_id &id, int32 stripe, int64 remaining) {
    Assert(remaining >= 0);
    return {{
        {tables.quota.owner_id, Int64GetDatum(id.owner_id), false, true},
        {tables.quota.kind, CharGetDatum(static_cast<char>(id.kind)), false, true},
        {tables.quota.stripe, Int32GetDatum(stripe), false, true},
        {tables.quota.generation, Int32GetDatum(tables.generation), false, true},
        {tables.quota.remaining, Int64GetDatum(remaining), false, true},
    }};
}

bool update_stripe_plainly(const catalog &tables, Relation table, ItemPointerData &tid,
                           const stripe_values &values, bool wait) {
    Datum row[most_plain_columns];
    bool nulls[most_plain_columns];
    memset(nulls, true, sizeof(bool) * tables.quota_plan.column_count);
    for (const column_value &value : values.of) {
        row[value.column - 1] = value.value;
        nulls[value.column - 1] = false;
    }
    return update_plainly(tables.quota_plan, table, tid, row, nulls, wait);
}

// Through the executor: with values, another version; without, deletes the row.
bool change_through_executor(const installation &guard, Relation table, ItemPointerData tid,
                             const stripe_values *values, bool wait) {
    TupleTableSlot *row = table_slot_create(table, nullptr);
    LockTupleMode mode = values == nullptr ? LockTupleExclusive : LockTupleNoKeyExclusive;
    bool locked = lock_row(table, &tid, row, wait ? LockWaitBlock : LockWaitSkip, mode,
                           awaited::stripe) == row_lock::locked;
    if (locked && values != nullptr)
        update_row(catalog_of(guard).quota_plan, row, values->of, quota_column_count);
    else if (locked)
        delete_row(catalog_of(guard).quota_plan, row);
    ExecDropSingleTupleTableSlot(row);
    return locked;
}

bool delete_version(const installation &guard, Relation table, ItemPointerData tid, bool wait) {
    const write_plan &plan = catalog_of(guard).quota_plan;
    return plan.changes_plainly ? delete_plainly(plan, table, tid, wait)
                                : change_through_executor(guard, table, tid, nullptr, wait);
}

// Adds units to the first stripe that nobody else has. False if there is none.
bool add_to_free_stripe(const installation &guard, const quota_id &id, int64 amount) {
    stripe_keys keys = keys_of(id);
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
    bool added = false;
    while (!added && next_row(scan)) {
        rival_transaction other;
        if (find_rival(scan, dirty, other))
            continue;
        stripe_row found = read_stripe(guard, scan);
        added = is_current(guard, found) &&
                change_stripe(guard, scan.table, id, found, found.remaining + amount, false);
    }
    end_scan(scan);
    return added;
}

} // namespace

stripe_keys keys_of(const quota_id &id) {
    return {{equals_bigint(1, id.owner_id), equals_char(2, static_cast<char>(id.kind)), {}}, 2};
}

stripe_keys keys_of(const quota_id &id, int32 stripe) {
    return {{equals_bigint(1, id.owner_id), equals_char(2, static_cast<char>(id.kind)),
             equals_integer(3, stripe)},
            3};
}

bool lock_quotas(const installation &guard) {
    for (;;) {
        bool in_use = catalog_of(guard).follows_changes;
        LOCKMODE mode = in_use ? RowExclusiveLock : ShareLock;
        if (lock_table(guard, &catalog::quota_table, mode).follows_changes == in_use)
            return in_use;
    }
}

index_scan begin_quota_scan(const installation &guard, stripe_keys &keys) {
    const catalog &tables = lock_table(guard, &catalog::quota_table, AccessShareLock);
    return begin_scan(tables.quota_table, tables.quota_index, keys.of, keys.count);
}

index_scan begin_dirty_quota_scan(const installation &guard, SnapshotData &dirty,
                                  stripe_keys &keys) {
    const catalog &tables = catalog_of(guard);
    index_scan scan =
        begin_dirty_scan(tables.quota_table, tables.quota_index, dirty, keys.of, keys.count);
    Assert(CheckRelationLockedByMe(scan.table, RowExclusiveLock, true));
    scan.rivals_have = awaited::stripe;
    return scan;
}

index_scan begin_version_scan(const installation &guard, stripe_keys &keys) {
    const catalog &tables = catalog_of(guard);
    return begin_version_scan(tables.quota_table, tables.quota_index, keys.of, keys.count);
}

stripe_row read_stripe(const installation &guard, const index_scan &scan) {
    const quota_columns &columns = catalog_of(guard).quota;
    return {DatumGetInt32(column_of(scan, columns.stripe)),
            DatumGetInt32(column_of(scan, columns.generation)),
            DatumGetInt64(column_of(scan, columns.remaining)), scan.row->tts_tid};
}

bool read_stripe_at(const installation &guard, Relation table, ItemPointerData tid,
                    const quota_id &id, TupleTableSlot *row, stripe_row &found) {
    // VACUUM may have truncated the table since.
    if (!ItemPointerIsValid(&tid) ||
        ItemPointerGetBlockNumber(&tid) >= RelationGetNumberOfBlocks(table) ||
        !table_tuple_fetch_row_version(table, &tid, SnapshotSelf, row))
        return false;
    // Another row may have its place by now: it is the stripe only if it says so.
    const quota_columns &columns = catalog_of(guard).quota;
    slot_getallattrs(row);
    const AttrNumber needed[] = {columns.owner_id, columns.kind, columns.stripe, columns.generation,
                                 columns.remaining};
    for (AttrNumber column : needed)
        if (row->tts_isnull[column - 1])
            return false;
    const Datum *values = row->tts_values;
    found.stripe = DatumGetInt32(values[columns.stripe - 1]);
    found.generation = DatumGetInt32(values[columns.generation - 1]);
    found.remaining = DatumGetInt64(values[columns.remaining - 1]);
    found.tid = tid;
    return DatumGetInt64(values[columns.owner_id - 1]) == id.owner_id &&
           DatumGetChar(values[columns.kind - 1]) == static_cast<char>(id.kind);
}

bool is_current(const installation &guard, const stripe_row &read) {
    const catalog &tables = catalog_of(guard);
    return tables.follows_changes && read.generation == tables.generation && read.remaining >= 0;
}

bool insert_stripe(const installation &guard, const quota_id &id, int32 stripe, int64 remaining) {
    const catalog &tables = catalog_of(guard);
    const stripe_values values = values_of(tables, id, stripe, remaining);
    return insert_row(tables.quota_plan, values.of, quota_column_count);
}

bool change_stripe(const installation &guard, Relation table, const quota_id &id, stripe_row &read,
                   int64 remaining, bool wait) {
    ItemPointerData tid = read.tid;
    ItemPointerSetInvalid(&read.tid);
    if (remaining == 0 && read.stripe != anchor)
        return delete_version(guard, table, tid, wait);
    const catalog &tables = catalog_of(guard);
    const stripe_values values = values_of(tables, id, read.stripe, remaining);
    if (!tables.quota_plan.changes_plainly)
        return change_through_executor(guard, table, tid, &values, wait);
    if (!update_stripe_plainly(tables, table, tid, values, wait))
        return false;
    read.tid = tid;
    return true;
}

bool delete_stripe(const installation &guard, Relation table, ItemPointerData tid) {
    return delete_version(guard, table, tid, true);
}

bool read_quota(const installation &guard, const quota_id &id, int64 &remaining) {
    stripe_keys keys = keys_of(id);
    index_scan scan = begin_quota_scan(guard, keys);
    bool is_set_up = false;
    remaining = 0;
    while (next_row(scan)) {
        stripe_row found = read_stripe(guard, scan);
        if (!is_current(guard, found))
            continue;
        Assert(!is_set_up || found.stripe != anchor); // there is one
        is_set_up |= found.stripe == anchor;
        remaining += found.remaining;
    }
    end_scan(scan);
    return is_set_up;
}

void return_units(const installation &guard, const quota_id &id, int64 amount) {
    Assert(amount > 0);
    bool added = add_to_free_stripe(guard, id, amount);
    // All are locked: the units come back as a stripe of their own. One of this number may be left
    // from a transaction of the past; then the next number will do.
    TransactionId self = GetCurrentTransactionId();
    for (int32 next = 0; !added; next++)
        added = insert_stripe(
            guard, id, first_extra_stripe + static_cast<int32>((self + next) & 0x3FFFFFFF), amount);
    CommandCounterIncrement();
    send_unit_return(guard);
}

} // namespace coupon_guard
