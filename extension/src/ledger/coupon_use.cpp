#include "ledger/coupon_use.hpp"

namespace coupon_guard {
namespace {

// Counts rows that an index finds in the newest committed state, up to limit.
int64 count_rows(const installation &guard, Oid catalog::*index, ScanKeyData *keys, int key_count,
                 int64 limit = PG_INT64_MAX) {
    const catalog &tables = catalog_of(guard);
    index_scan scan = begin_scan(tables.ledger_table, tables.*index, keys, key_count);
    int64 count = 0;
    while (count < limit && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        count++;
    }
    end_scan(scan);
    return count;
}

} // namespace

outcome take_over_expired_hold(const installation &guard, int64 coupon_id, TimestampTz moment,
                               bool may_wait, bool &has_waited) {
    const catalog &tables = lock_table(guard, &catalog::ledger_table, RowExclusiveLock);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_hold_index, dirty, keys,
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
        outcome change = void_expired_hold(guard, expired, moment, LockWaitSkip);
        if (is_undecided(change)) { // locked, but not changed as yet
            has_busy = true;
            busy = expired;
        } else if (is_yes(change)) {
            result = change;
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
    return is_yes(void_expired_hold(guard, busy, moment, LockWaitBlock)) ? decided(true)
                                                                         : look_again();
}

TimestampTz first_hold_deadline(const installation &guard, int64 coupon_id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_hold_index, dirty, keys,
                                       lengthof(keys));
    TimestampTz deadline =
        next_row(scan) ? read_redemption(tables.ledger, scan).hold_expires_at : no_deadline;
    end_scan(scan);
    return deadline;
}

outcome find_row_in_progress(const installation &guard, int64 coupon_id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, dirty, keys,
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

bool has_live_rows(const installation &guard, int64 coupon_id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, dirty, keys,
                                       lengthof(keys), AccessShareLock);
    bool has_any = next_row(scan);
    end_scan(scan);
    return has_any;
}

int64 count_committed_rows(const installation &guard, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return count_rows(guard, &catalog::ledger_use_index, keys, lengthof(keys));
}

int64 count_expired_holds(const installation &guard, int64 coupon_id, TimestampTz moment) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    return count_rows(guard, &catalog::ledger_hold_index, keys, lengthof(keys));
}

int64 count_holds_expiring(const installation &guard, int64 coupon_id, TimestampTz moment,
                           int64 enough) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, coupon_id), is_at_most(2, moment)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_hold_index, dirty, keys,
                                       lengthof(keys));
    int64 count = 0;
    while (count < enough && next_row(scan))
        count++;
    end_scan(scan);
    return count;
}

bool has_redemptions(const installation &guard, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return count_rows(guard, &catalog::ledger_use_index, keys, lengthof(keys), 1) > 0 ||
           count_rows(guard, &catalog::ledger_voided_index, keys, lengthof(keys), 1) > 0;
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
