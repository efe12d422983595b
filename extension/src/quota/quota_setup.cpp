// Setting up, changing and ending a quota.
//
// Setting up counts the coupon's live rows, so nobody else may change their number meanwhile
// without a quota to take from or return to: one locks the coupon's row for update, the others for
// share (is_quota_set_up()). Both are rare; a redemption from a quota that is set up never touches
// the coupon's row. A coupon's first quota needs no lock, for nobody else sees the coupon: it is
// written first and withdrawn if the ledger then shows rows, those of a restore under way.
//
// Rows that are left of an earlier quota (it is void, or a unit came back to it when it was being
// ended) go first, for a session that has not heard yet that it is void may still take from it; and
// again after the count, which waits for transactions that may have brought a unit back to it. If
// there were any, it is counted once more.
//
// Ending deletes every row, so waits for every transaction that has units of the quota, and those
// who come later wait for the one that ends it. What such a transaction has taken ahead it brings
// back before its own end, so before the rows go.
//
// Held while waiting: the coupon's row, or the rows of the quota deleted so far. A deadlock takes a
// transaction that has taken from this quota or written its ledger rows by plain SQL, and then
// waits for the same coupon again (40P01).

#include "catalog/news.hpp"
#include "catalog/sqlstate.hpp"
#include "ledger/ledger.hpp"
#include "quota/quota.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_stripes.hpp"

namespace coupon_guard {
namespace {

// Stripes of a quota that nobody has met on as yet.
constexpr int32 first_stripes = 4;

int32 stripe_count(const coupon_row &coupon) {
    int32 most = coupon.stripes > 0 ? coupon.stripes : Min(quota_stripes, first_stripes);
    return static_cast<int32>(Max(Min(coupon.max_redemptions, int64{most}), 1));
}

// False if a stripe of this number is left from an earlier quota.
bool write_quota(const installation &guard, const coupon_row &coupon, int64 units) {
    int32 count = stripe_count(coupon);
    int64 share = units / count;
    int64 left_over = units % count; // less than count
    bool all_written = insert_stripe(guard, coupon.id, anchor, share);
    for (int32 stripe = 1; stripe < count; stripe++) {
        int64 remaining = share + (stripe <= left_over ? 1 : 0);
        if (remaining > 0)
            all_written &= insert_stripe(guard, coupon.id, stripe, remaining);
    }
    return all_written;
}

void report_cap_below_use(const coupon_row &coupon, int64 used) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("max_redemptions of coupon " INT64_FORMAT " cannot be " INT64_FORMAT,
                           coupon.id, coupon.max_redemptions),
                    errdetail(INT64_FORMAT " redemptions and holds are in use.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

// Whether the anchor exists; undecided if a rival is setting the quota up, or ending it. A buyer
// who is changing the anchor is no such rival: the version before is seen as well, and says yes.
outcome find_anchor(const installation &guard, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), equals_integer(2, anchor)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys, lengthof(keys));
    outcome result = decided(false);
    while (!is_yes(result) && next_row(scan)) {
        if (!is_current(guard, read_stripe(guard, scan)))
            continue;
        rival other;
        bool has_rival = find_rival(scan, dirty, other);
        bool is_new = TransactionIdIsValid(dirty.xmin);
        if (has_rival && (is_new || is_being_deleted(scan, dirty)))
            result = hangs_on(other);
        else
            result = decided(true);
    }
    end_scan(scan);
    return result;
}

bool wait_for_anchor(const installation &guard, int64 coupon_id) {
    return until_decided([&] { return find_anchor(guard, coupon_id); });
}

// Deletes the stripe at hand, or says what hinders that.
void delete_at_hand(const installation &guard, const index_scan &scan, const SnapshotData &dirty,
                    outcome &result) {
    rival other;
    if (find_rival(scan, dirty, other))
        result = hangs_on(other);
    else if (!delete_stripe(guard, scan.table, scan.row->tts_tid) && is_yes(result))
        result = look_again();
}

// Deletes all rows of the quota, void ones too. True if there were any.
bool delete_stripes(const installation &guard, int64 coupon_id) {
    bool had_any = false;
    until_decided([&] {
        CommandCounterIncrement(); // what this command has written can be deleted then
        ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
        SnapshotData dirty;
        index_scan scan = begin_dirty_quota_scan(guard, dirty, keys, lengthof(keys));
        outcome result = decided(true);
        while (next_row(scan)) {
            had_any = true;
            delete_at_hand(guard, scan, dirty, result);
        }
        end_scan(scan);
        CommandCounterIncrement();
        return result;
    });
    return had_any;
}

int64 count_live_rows(const installation &guard, int64 coupon_id) {
    CommandCounterIncrement(); // this command's rows count, too
    return count_settled_rows(guard, coupon_id);
}

} // namespace

bool is_quota_set_up(const installation &guard, int64 coupon_id) {
    if (!lock_quotas(guard))
        return false;
    if (wait_for_anchor(guard, coupon_id))
        return true;
    coupon_row
        coupon; // without a cap it gets none before we end: its first cap waits for the ledger
    if (find_coupon(guard, coupon_id, coupon) && !is_capped(coupon))
        return false;
    return lock_coupon(guard, coupon_id, LockTupleShare) && wait_for_anchor(guard, coupon_id);
}

bool is_quota_newer_than(const installation &guard, int64 coupon_id, CommandId command) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), equals_integer(2, anchor)};
    // All versions: the first one, which was no UPDATE, says when the quota was set up.
    index_scan scan = begin_version_scan(guard, keys, lengthof(keys));
    bool is_newer = false;
    while (!is_newer && next_row(scan)) {
        CommandId written;
        is_newer = is_own_insert(scan, written) && written >= command;
    }
    end_scan(scan);
    return is_newer;
}

void check_cap_covers_use(const installation &guard, const coupon_row &coupon) {
    int64 used = count_live_rows(guard, coupon.id);
    if (used > coupon.max_redemptions)
        report_cap_below_use(coupon, used);
}

bool set_up_quota(const installation &guard, int64 coupon_id) {
    coupon_row coupon; // as it is once its row is locked
    if (!lock_coupon(guard, coupon_id, LockTupleNoKeyExclusive) ||
        (lock_quotas(guard) && wait_for_anchor(guard, coupon_id)) ||
        !find_coupon(guard, coupon_id, coupon) || !is_capped(coupon))
        return true;
    bool has_quotas = lock_quotas(guard);
    if (has_quotas) {
        withdraw_units_ahead(guard, coupon_id);
        delete_stripes(guard, coupon_id);
    }
    int64 used;
    do
        used = count_live_rows(guard, coupon_id);
    while (has_quotas && delete_stripes(guard, coupon_id));
    if (used > coupon.max_redemptions)
        return false; // a quota has no debts: what was given back to it would be sold again
    if (has_quotas) {
        bool all_written = write_quota(guard, coupon, coupon.max_redemptions - used);
        Assert(all_written);
        (void)all_written;
    }
    return true;
}

void prepare_quota(const installation &guard, int64 coupon_id) {
    if (!lock_quotas(guard))
        lock_coupon(guard, coupon_id, LockTupleNoKeyExclusive);
    else if (!wait_for_anchor(guard, coupon_id))
        set_up_quota(guard, coupon_id);
}

void set_up_new_quota(const installation &guard, const coupon_row &coupon) {
    if (!lock_quotas(guard))
        return;
    if (!write_quota(guard, coupon, coupon.max_redemptions) || has_live_rows(guard, coupon.id))
        end_quota(guard, coupon.id);
}

bool end_quota_newer_than(const installation &guard, int64 coupon_id, CommandId since) {
    if (!lock_quotas(guard) || !is_quota_newer_than(guard, coupon_id, since))
        return false;
    end_quota(guard, coupon_id);
    return true;
}

void report_sold_out(int64 coupon_id) {
    ereport(ERROR,
            (errcode(sqlstate_sold_out), errmsg("coupon " INT64_FORMAT " is sold out", coupon_id),
             errdetail("All its units are redeemed or held."),
             errhint("Raise max_redemptions to let more be redeemed.")));
    pg_unreachable();
}

void settle_new_row(const installation &guard, int64 coupon_id, CommandId since) {
    bool is_counted_anew = end_quota_newer_than(guard, coupon_id, since);
    bool has_quotas = catalog_of(guard).follows_changes;
    if ((is_counted_anew || !has_quotas) && !set_up_quota(guard, coupon_id))
        report_sold_out(coupon_id);
}

void end_quota(const installation &guard, int64 coupon_id) {
    withdraw_units_ahead(guard, coupon_id);
    if (lock_quotas(guard) && delete_stripes(guard, coupon_id))
        send_unit_return(guard);
}

void end_all_quotas(const installation &guard) {
    withdraw_all_units_ahead(guard);
    if (!lock_quotas(guard))
        return;
    Relation quota = table_open(catalog_of(guard).quota_table, NoLock);
    until_decided([&] {
        CommandCounterIncrement();
        Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
        TableScanDesc scan = table_beginscan(quota, newest, 0, nullptr);
        TupleTableSlot *row = table_slot_create(quota, nullptr);
        outcome result = decided(true);
        while (table_scan_getnextslot(scan, ForwardScanDirection, row)) {
            CHECK_FOR_INTERRUPTS();
            if (!delete_stripe(guard, quota, row->tts_tid))
                result = look_again();
        }
        ExecDropSingleTupleTableSlot(row);
        table_endscan(scan);
        UnregisterSnapshot(newest);
        return result;
    });
    table_close(quota, NoLock);
    CommandCounterIncrement();
    send_unit_return(guard);
}

void change_cap(const installation &guard, const coupon_row &before, const coupon_row &after) {
    int64 more =
        after.max_redemptions - before.max_redemptions + withdraw_units_ahead(guard, after.id);
    if (more > 0)
        return_units(guard, after.id, more);
    for (int64 less = -more; less > 0;) {
        int64 amount = wait_for_units(guard, before, less);
        if (amount == 0)
            report_cap_below_use(after, after.max_redemptions + less);
        less -= amount;
    }
}

} // namespace coupon_guard
