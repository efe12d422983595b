// Setting up, changing and ending a quota.
//
// Setting up counts what is in use (of a coupon: its live rows), so nobody else may change that
// meanwhile without a quota to take from or return to: one locks the owner's row for update, the
// others for share (is_quota_set_up()). Both are rare; a redemption from a quota that is set up
// never touches the owner's row. The first quota of a new row needs no lock, for nobody else sees
// the row: it is written first and withdrawn if the ledger then shows use, that of a restore under
// way.
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
// Held while waiting: the owner's row, or the rows of the quota deleted so far. A deadlock takes a
// transaction that has taken from this quota or written its ledger rows by plain SQL, and then
// waits for the same quota again (40P01).

#include "quota/quota_setup.hpp"

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"
#include "quota/claims.hpp"
#include "quota/limit.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/quota_stripes.hpp"

namespace coupon_guard {
namespace {

// Stripes of a quota that nobody has met on as yet.
constexpr int32 first_stripes = 4;

int32 stripe_count(const quota &divided) {
    int32 most = divided.stripes > 0 ? divided.stripes : Min(quota_stripes, first_stripes);
    return static_cast<int32>(Max(Min(divided.granted, int64{most}), 1));
}

// False if a stripe of this number is left from an earlier quota.
bool write_quota(const installation &guard, const quota &divided, int64 units) {
    Assert(units >= 0 && units <= divided.granted);
    tally_up(counter::quotas_set_up);
    int32 count = stripe_count(divided);
    int64 share = units / count;
    int64 left_over = units % count; // less than count
    bool all_written = insert_stripe(guard, divided.id, anchor, share);
    for (int32 stripe = 1; stripe < count; stripe++) {
        int64 remaining = share + (stripe <= left_over ? 1 : 0);
        if (remaining > 0)
            all_written &= insert_stripe(guard, divided.id, stripe, remaining);
    }
    return all_written;
}

// Whether the anchor exists; undecided if a rival is setting the quota up, or ending it. A buyer
// who is changing the anchor is no such rival: the version before is seen as well, and says yes.
outcome find_anchor(const installation &guard, const quota_id &id) {
    stripe_keys keys = keys_of(id, anchor);
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
    outcome result = decided(false);
    while (!is_yes(result) && next_row(scan)) {
        if (!is_current(guard, read_stripe(guard, scan)))
            continue;
        rival_transaction other;
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

bool wait_for_anchor(const installation &guard, const quota_id &id) {
    return until_decided([&] { return find_anchor(guard, id); });
}

// Deletes the stripe at hand, or says what hinders that.
void delete_at_hand(const installation &guard, const index_scan &scan, const SnapshotData &dirty,
                    outcome &result) {
    rival_transaction other;
    if (find_rival(scan, dirty, other))
        result = hangs_on(other);
    else if (!delete_stripe(guard, scan.table, scan.row->tts_tid) && is_yes(result))
        result = look_again();
}

// Deletes all rows of the quota, void ones too. True if there were any.
bool delete_stripes(const installation &guard, const quota_id &id) {
    bool had_any = false;
    until_decided([&] {
        CommandCounterIncrement(); // what this command has written can be deleted then
        stripe_keys keys = keys_of(id);
        SnapshotData dirty;
        index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
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

// A command of its own, so that what is noted since is not what went before.
CommandId begin_command() {
    CommandCounterIncrement();
    return GetCurrentCommandId(false);
}

// What is written of a limit is right only if no trigger of the shop's on coupon_quota has changed
// limits meanwhile. Then it goes again.
bool ends_by_own_change(const installation &guard, const quota_id &id, CommandId begun) {
    if (!has_changed_coupons_since(begun))
        return false;
    end_quota(guard, id);
    return true;
}

void report_changed_meanwhile(const quota_id &id) {
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                    errmsg("a trigger on table \"coupon_quota\" changed limits while the quota of "
                           "%s " INT64_FORMAT " was being set up",
                           name_of(owner_of(id.kind)), id.owner_id)));
}

// False: more is in use than was granted.
bool count_and_write_quota(const installation &guard, const quota &limited, CommandId begun) {
    const quota_id &id = limited.id;
    bool has_quotas = lock_quotas(guard);
    if (has_quotas) {
        withdraw_units_ahead(guard, id);
        delete_stripes(guard, id);
    }
    int64 used;
    do
        used = count_settled_use(guard, id);
    while (has_quotas && delete_stripes(guard, id));
    Assert(used >= 0);
    if (used > limited.granted)
        return false; // a quota has no debts: what was given back to it would be sold again
    if (has_quotas) {
        bool all_written = write_quota(guard, limited, limited.granted - used);
        Assert(all_written || has_changed_coupons_since(begun));
        (void)all_written;
    }
    return true;
}

} // namespace

bool is_quota_set_up(const installation &guard, const quota_id &id) {
    if (!lock_quotas(guard))
        return false;
    if (wait_for_anchor(guard, id))
        return true;
    quota limited; // without a limit it gets none before we end: its first one waits for the ledger
    return find_quota(guard, id, limited) && lock_owner(guard, id, LockTupleShare, true) &&
           wait_for_anchor(guard, id);
}

bool is_quota_newer_than(const installation &guard, const quota_id &id, CommandId command) {
    stripe_keys keys = keys_of(id, anchor);
    // All versions: the first one, which was no UPDATE, says when the quota was set up.
    index_scan scan = begin_version_scan(guard, keys);
    bool is_newer = false;
    while (!is_newer && next_row(scan)) {
        CommandId written;
        is_newer = is_own_insert(scan, written) && written >= command;
    }
    end_scan(scan);
    return is_newer;
}

bool is_quota_outdated(const installation &guard, const quota_id &id) {
    CommandId command;
    return is_change_pending(id, command) && lock_quotas(guard) &&
           !is_quota_newer_than(guard, id, command);
}

void check_grant_covers_use(const installation &guard, const quota &limited) {
    int64 used = count_settled_use(guard, limited.id);
    if (used > limited.granted)
        report_below_use(limited, used);
}

bool set_up_quota(const installation &guard, const quota_id &id) {
    constexpr int most_attempts = 4;
    for (int attempt = 0; attempt < most_attempts; attempt++) {
        const CommandId begun = begin_command();
        quota limited; // as it is once its owner's row is locked
        if (!lock_owner(guard, id, LockTupleNoKeyExclusive, true) ||
            (lock_quotas(guard) && wait_for_anchor(guard, id)) || !find_quota(guard, id, limited))
            return true;
        bool is_covered = count_and_write_quota(guard, limited, begun);
        if (!ends_by_own_change(guard, id, begun))
            return is_covered;
    }
    report_changed_meanwhile(id);
    pg_unreachable();
}

outcome prepare_quota(const installation &guard, const quota_id &id) {
    if (!lock_quotas(guard)) {
        if (lock_owner(guard, id, LockTupleNoKeyExclusive, false))
            return decided(true);
        lock_owner(guard, id, LockTupleNoKeyExclusive, true);
        return look_again();
    }
    outcome anchored = find_anchor(guard, id);
    if (!is_no(anchored))
        return anchored;
    return set_up_quota(guard, id) ? look_again() : decided(true);
}

void set_up_new_quota(const installation &guard, const quota &created) {
    if (!lock_quotas(guard))
        return;
    const CommandId begun = begin_command();
    bool all_written = write_quota(guard, created, created.granted);
    if (!ends_by_own_change(guard, created.id, begun) &&
        (!all_written || has_use(guard, created.id)))
        end_quota(guard, created.id);
}

bool end_quota_newer_than(const installation &guard, const quota_id &id, CommandId since) {
    if (!lock_quotas(guard) || !is_quota_newer_than(guard, id, since))
        return false;
    end_quota(guard, id);
    return true;
}

void settle_new_use(const installation &guard, const quota_id &id, CommandId since) {
    bool is_counted_anew = end_quota_newer_than(guard, id, since);
    bool has_quotas = catalog_of(guard).follows_changes;
    if ((is_counted_anew || !has_quotas) && !set_up_quota(guard, id))
        report_used_up(id);
}

void end_quota(const installation &guard, const quota_id &id) {
    withdraw_units_ahead(guard, id);
    if (lock_quotas(guard) && delete_stripes(guard, id))
        send_unit_return(guard);
}

void end_all_quotas(const installation &guard) {
    withdraw_all_units_ahead(guard);
    if (!lock_quotas(guard))
        return;
    Relation table = table_open(catalog_of(guard).quota_table, NoLock);
    until_decided([&] {
        CommandCounterIncrement();
        outcome result = decided(true);
        table_scan scan = begin_table_scan(table);
        while (next_row(scan))
            if (!delete_stripe(guard, table, scan.row->tts_tid))
                result = look_again();
        end_scan(scan);
        return result;
    });
    table_close(table, NoLock);
    CommandCounterIncrement();
    send_unit_return(guard);
}

void change_grant(const installation &guard, const quota &before, const quota &after) {
    Assert(is_same(before.id, after.id));
    int64 more = after.granted - before.granted + withdraw_units_ahead(guard, after.id);
    while (more < 0) {
        int64 amount = wait_for_units(guard, before, -more);
        if (amount == 0)
            report_below_use(after, after.granted - more);
        more += amount;
    }
    if (more > 0) // an expired hold may have had more than has to go
        return_units(guard, after.id, more);
}

} // namespace coupon_guard
