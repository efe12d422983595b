#include "ledger/limit_use.hpp"

namespace coupon_guard {
namespace {

bool is_campaign(const rows_of &of) {
    Assert(of.owner != limit_owner::none);
    return of.owner == limit_owner::campaign;
}

Oid catalog::*use_index_of(const rows_of &of) {
    return is_campaign(of) ? &catalog::ledger_campaign_use_index : &catalog::ledger_use_index;
}
Oid catalog::*hold_index_of(const rows_of &of) {
    return is_campaign(of) ? &catalog::ledger_campaign_hold_index : &catalog::ledger_hold_index;
}
Oid catalog::*voided_index_of(const rows_of &of) {
    return is_campaign(of) ? &catalog::ledger_campaign_voided_index : &catalog::ledger_voided_index;
}

// Counts rows that the scan finds, up to limit; ends it.
int64 count_rows(index_scan scan, int64 limit) {
    int64 count = 0;
    while (count < limit && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        count++;
    }
    end_scan(scan);
    return count;
}

int64 sum_amounts(const installation &guard, index_scan scan, int64 limit) {
    int64 sum = 0;
    while (sum < limit && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        int64 amount = read_redemption(catalog_of(guard).ledger, scan).amount;
        sum = amount > PG_INT64_MAX - sum ? PG_INT64_MAX : sum + amount;
    }
    end_scan(scan);
    return sum;
}

// Rows of the ledger, in the newest committed state.
index_scan begin_ledger_scan(const installation &guard, Oid catalog::*index, ScanKeyData *keys,
                             int key_count) {
    const catalog &tables = catalog_of(guard);
    return begin_scan(tables.ledger_table, tables.*index, keys, key_count);
}

index_scan begin_dirty_hold_scan(const installation &guard, const rows_of &of, SnapshotData &dirty,
                                 ScanKeyData *keys, int key_count) {
    const catalog &tables = catalog_of(guard);
    return begin_dirty_scan(tables.ledger_table, tables.*hold_index_of(of), dirty, keys, key_count);
}

} // namespace

outcome take_over_expired_hold(const installation &guard, const rows_of &of, TimestampTz moment,
                               bool may_wait, const hold_watcher &watcher, redemption &ended,
                               bool &has_waited) {
    const catalog &tables = lock_table(guard, &catalog::ledger_table, RowExclusiveLock);
    ScanKeyData keys[] = {equals_bigint(1, of.id), is_at_most(2, moment)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.*hold_index_of(of), dirty, keys,
                                       lengthof(keys));
    outcome result = decided(false);
    bool has_busy = false;
    redemption busy;
    while (!is_yes(result) && next_row(scan)) {
        rival_transaction other;
        if (find_rival(scan, dirty, other)) {
            result = hangs_on(other);
            continue;
        }
        redemption expired = read_redemption(catalog_of(guard).ledger, scan);
        watcher.prepare(guard, expired, watcher.context);
        outcome change = void_expired_hold(guard, expired, moment, LockWaitSkip);
        if (is_undecided(change)) { // locked, but not changed as yet
            has_busy = true;
            busy = expired;
        } else if (is_yes(change)) {
            result = change;
            ended = expired;
        } else { // changed in this very moment
            result = look_again();
            break;
        }
    }
    end_scan(scan);
    if (!is_no(result) || !has_busy)
        return result;
    // Only such are left that somebody has locked.
    if (!may_wait)
        return look_again();
    has_waited = true;
    ended = busy;
    watcher.prepare(guard, busy, watcher.context);
    return is_yes(void_expired_hold(guard, busy, moment, LockWaitBlock)) ? decided(true)
                                                                         : look_again();
}

TimestampTz first_hold_deadline(const installation &guard, const rows_of &of) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, of.id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.*hold_index_of(of), dirty, keys,
                                       lengthof(keys));
    TimestampTz deadline =
        next_row(scan) ? read_redemption(tables.ledger, scan).hold_expires_at : no_deadline;
    end_scan(scan);
    return deadline;
}

outcome find_row_in_progress(const installation &guard, const rows_of &of) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, of.id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.*use_index_of(of), dirty, keys,
                                       lengthof(keys), AccessShareLock);
    outcome result = decided(false);
    while (!is_undecided(result) && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        rival_transaction other;
        if (find_rival(scan, dirty, other))
            result = hangs_on(other);
    }
    end_scan(scan);
    return result;
}

bool has_live_rows(const installation &guard, const rows_of &of) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, of.id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.*use_index_of(of), dirty, keys,
                                       lengthof(keys), AccessShareLock);
    bool has_any = next_row(scan);
    end_scan(scan);
    return has_any;
}

int64 count_committed_rows(const installation &guard, const rows_of &of) {
    ScanKeyData keys[] = {equals_bigint(1, of.id)};
    return count_rows(begin_ledger_scan(guard, use_index_of(of), keys, lengthof(keys)),
                      PG_INT64_MAX);
}

int64 sum_committed_amounts(const installation &guard, const rows_of &of) {
    ScanKeyData keys[] = {equals_bigint(1, of.id)};
    return sum_amounts(guard, begin_ledger_scan(guard, use_index_of(of), keys, lengthof(keys)),
                       PG_INT64_MAX);
}

int64 count_expired_holds(const installation &guard, const rows_of &of, TimestampTz moment) {
    ScanKeyData keys[] = {equals_bigint(1, of.id), is_at_most(2, moment)};
    return count_rows(begin_ledger_scan(guard, hold_index_of(of), keys, lengthof(keys)),
                      PG_INT64_MAX);
}

int64 sum_expired_amounts(const installation &guard, const rows_of &of, TimestampTz moment) {
    ScanKeyData keys[] = {equals_bigint(1, of.id), is_at_most(2, moment)};
    return sum_amounts(guard, begin_ledger_scan(guard, hold_index_of(of), keys, lengthof(keys)),
                       PG_INT64_MAX);
}

int64 count_holds_expiring(const installation &guard, const rows_of &of, TimestampTz moment,
                           int64 enough) {
    ScanKeyData keys[] = {equals_bigint(1, of.id), is_at_most(2, moment)};
    SnapshotData dirty;
    return count_rows(begin_dirty_hold_scan(guard, of, dirty, keys, lengthof(keys)), enough);
}

int64 sum_amounts_expiring(const installation &guard, const rows_of &of, TimestampTz moment,
                           int64 enough) {
    ScanKeyData keys[] = {equals_bigint(1, of.id), is_at_most(2, moment)};
    SnapshotData dirty;
    return sum_amounts(guard, begin_dirty_hold_scan(guard, of, dirty, keys, lengthof(keys)),
                       enough);
}

bool has_redemptions(const installation &guard, const rows_of &of) {
    ScanKeyData keys[] = {equals_bigint(1, of.id)};
    return count_rows(begin_ledger_scan(guard, use_index_of(of), keys, lengthof(keys)), 1) > 0 ||
           count_rows(begin_ledger_scan(guard, voided_index_of(of), keys, lengthof(keys)), 1) > 0;
}

bool has_redemptions_of_campaigns(const installation &guard) {
    Oid catalog::*const indexes[] = {&catalog::ledger_campaign_use_index,
                                     &catalog::ledger_campaign_voided_index};
    for (Oid catalog::*index : indexes)
        if (count_rows(begin_ledger_scan(guard, index, nullptr, 0), 1) > 0)
            return true;
    return false;
}

bool has_redemptions(const installation &guard) {
    Relation ledger = table_open(catalog_of(guard).ledger_table, NoLock);
    table_scan scan = begin_table_scan(ledger);
    bool found = next_row(scan);
    end_scan(scan);
    table_close(ledger, NoLock);
    return found;
}

} // namespace coupon_guard
