// Setting up, changing and removing a quota: what quota.cpp says of the anchor, and why setting up
// excludes whoever changes the number of live rows without a quota.

#include "ledger.hpp"
#include "quota.hpp"
#include "quota_ahead.hpp"
#include "quota_stripes.hpp"

namespace coupon_guard {
namespace {

void write_quota(const schema &objects, const coupon &offer, int64 units) {
    int32 count = stripe_count(offer);
    int64 share = units / count;
    int64 left_over = units % count; // less than count
    insert_stripe(objects, offer.id, anchor, share);
    for (int32 stripe = 1; stripe < count; stripe++) {
        int64 remaining = share + (stripe <= left_over ? 1 : 0);
        if (remaining > 0)
            insert_stripe(objects, offer.id, stripe, remaining);
    }
    CommandCounterIncrement();
}

int64 count_live_rows_or_wait(const schema &objects, int64 coupon_id) {
    int64 count;
    rival other;
    while (count_live_rows(objects, coupon_id, count, other) == lookup::undecided) {
        CHECK_FOR_INTERRUPTS();
        wait_for_rival(other);
    }
    return count;
}

void report_cap_below_use(const coupon &offer, int64 used) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("max_redemptions of coupon " INT64_FORMAT " cannot be " INT64_FORMAT,
                           offer.id, offer.max_redemptions),
                    errdetail(INT64_FORMAT " redemptions and holds are in use.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

// Whether the anchor exists; undecided if a rival is setting the quota up. Buyers who change the
// anchor are no such rivals: then a version that was there before is seen too.
lookup find_anchor(const schema &objects, int64 coupon_id, rival &rival) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), equals_integer(2, anchor)};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan = begin_quota_scan(objects, &dirty, keys, lengthof(keys), RowExclusiveLock);
    lookup result = lookup::missing;
    while (result != lookup::found && next_row(scan)) {
        bool is_new = TransactionIdIsValid(dirty.xmin);
        if (is_new)
            find_rival(scan, dirty, rival);
        result = is_new ? lookup::undecided : lookup::found;
    }
    end_scan(scan);
    return result;
}

bool wait_for_anchor(const schema &objects, int64 coupon_id) {
    rival other;
    lookup result;
    while ((result = find_anchor(objects, coupon_id, other)) == lookup::undecided) {
        CHECK_FOR_INTERRUPTS();
        wait_for_rival(other);
    }
    return result == lookup::found;
}

} // namespace

bool is_quota_set_up(const schema &objects, int64 coupon_id) {
    if (wait_for_anchor(objects, coupon_id))
        return true;
    coupon offer; // without a cap it gets none before we end: its first cap waits for the ledger
    if (find_coupon(objects, coupon_id, offer) && !is_capped(offer))
        return false;
    return lock_coupon(objects, coupon_id, LockTupleShare) && wait_for_anchor(objects, coupon_id);
}

void check_cap_covers_use(const schema &objects, const coupon &offer) {
    int64 used = count_live_rows_or_wait(objects, offer.id);
    if (used > offer.max_redemptions)
        report_cap_below_use(offer, used);
}

void set_up_quota(const schema &objects, const coupon &offer) {
    if (!lock_coupon(objects, offer.id, LockTupleNoKeyExclusive) ||
        wait_for_anchor(objects, offer.id))
        return;
    int64 used = count_live_rows_or_wait(objects, offer.id);
    write_quota(objects, offer, Max(offer.max_redemptions - used, 0));
}

void set_up_new_quota(const schema &objects, const coupon &offer) {
    write_quota(objects, offer, offer.max_redemptions);
    int64 used;
    rival other;
    bool is_used = count_live_rows(objects, offer.id, used, other) == lookup::undecided || used > 0;
    if (is_used)
        drop_quota(objects, offer.id);
}

void drop_quota(const schema &objects, int64 coupon_id) {
    withdraw_units_ahead(coupon_id);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_quota_scan(objects, newest, keys, lengthof(keys), RowExclusiveLock);
    bool had_quota = false;
    while (next_row(scan)) {
        ItemPointerData tid = scan.row->tts_tid;
        simple_heap_delete(scan.table, &tid);
        had_quota = true;
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    CommandCounterIncrement();
    if (had_quota)
        announce_unit_return(objects);
}

void drop_all_quotas(const schema &objects) {
    withdraw_all_units_ahead();
    Relation quota = table_open(objects.quota_table, RowExclusiveLock);
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    TableScanDesc scan = table_beginscan(quota, newest, 0, nullptr);
    TupleTableSlot *row = table_slot_create(quota, nullptr);
    while (table_scan_getnextslot(scan, ForwardScanDirection, row)) {
        CHECK_FOR_INTERRUPTS();
        simple_heap_delete(quota, &row->tts_tid);
    }
    ExecDropSingleTupleTableSlot(row);
    table_endscan(scan);
    UnregisterSnapshot(newest);
    table_close(quota, NoLock);
    CommandCounterIncrement();
    announce_unit_return(objects);
}

void change_cap(const schema &objects, const coupon &before, const coupon &after) {
    if (!wait_for_anchor(objects, after.id)) { // it is set up later, with the new cap
        check_cap_covers_use(objects, after);
        return;
    }
    int64 more = after.max_redemptions - before.max_redemptions + withdraw_units_ahead(after.id);
    if (more > 0)
        return_units(objects, after.id, more);
    for (int64 less = -more; less > 0;) {
        int64 taken = wait_for_units(objects, before, less);
        if (taken == 0)
            report_cap_below_use(after, after.max_redemptions + less);
        less -= taken;
    }
}

} // namespace coupon_guard
