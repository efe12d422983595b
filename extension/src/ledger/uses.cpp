// Why the use numbers make every limit exact: a redemption takes a use number from 1 to the limit
// that no live row has, and the unique index lets only one row have it. What read_uses() saw may
// be out of date when the row is written; then the index refuses the row, and the flow starts
// over. Rows of transactions in progress count as taken while other numbers are free, so that
// nobody waits who need not: only when the limit hangs on how a rival ends is it waited for.
//
// The scans judge each row by itself (SnapshotDirty), to see the rows in progress. They can miss a
// row that is being updated just now; the unique index does not.

#include "ledger/uses.hpp"

namespace coupon_guard {
namespace {

// Of a user's uses of a coupon, when a free use number is known; a hold is among the latest.
constexpr int most_rows_read = 32;

index_scan begin_user_scan(const catalog &tables, ScanKeyData (&keys)[2], const coupon_row &coupon,
                           const user_id &user, SnapshotData *dirty) {
    keys[0] = equals_bigint(1, coupon.id);
    keys[1] = equals_text(2, user.datum());
    return dirty == nullptr
               ? begin_scan(tables.ledger_table, tables.ledger_use_index, keys, lengthof(keys))
               : begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, *dirty, keys,
                                  lengthof(keys));
}

// Whether the hold at hand is the request's to use.
bool may_use_hold(const ledger_columns &columns, const index_scan &scan,
                  const request_id *request) {
    if (request == nullptr || is_null(scan, columns.request_id))
        return true;
    return is_same_text(column_of(scan, columns.request_id), request->datum());
}

// The user's rows, read from the highest use number down. A row that is being updated is seen in
// two versions, and counts once.
uses_of_user judge_uses(const ledger_columns &columns, const SnapshotData &dirty, index_scan &scan,
                        int32 limit, const request_id *request, TimestampTz moment) {
    uses_of_user seen = {};
    int32 in_progress = 0;
    rival_transaction first_rival = {};
    int64 above = int64{limit} + 1; // the use number seen before, so the next one higher
    int64 last_rival = PG_INT64_MAX;
    bool has_free = false; // a number up to limit that no row has, while no row is beyond limit
    bool is_beyond = false;
    redemption hold;         // one that the request may use
    bool has_lapsed = false; // any that has expired: its number can be had
    redemption lapsed;
    int rows_read = 0;
    seen.is_allowed = decided(true);
    seen.free_use_no = 1;
    while (above > 1 && next_row(scan, BackwardScanDirection)) {
        redemption found = read_redemption(columns, scan);
        Assert(rows_read == 0 || found.use_no <= above); // the index is read from its end
        rival_transaction other;
        if (find_rival(scan, dirty, other)) {
            if (in_progress == 0)
                first_rival = other;
            in_progress += found.use_no != last_rival ? 1 : 0;
            last_rival = found.use_no;
        } else {
            depend_on_row(scan);
            bool is_usable = is_hold(found) && may_use_hold(columns, scan, request);
            if (is_usable && (found.hold_expires_at > moment || !seen.has_hold)) {
                hold = found;
                seen.has_hold = true;
                if (found.hold_expires_at > moment)
                    break; // a live one comes first
            }
            if (found.hold_expires_at <= moment) {
                has_lapsed = true;
                lapsed = found;
            }
            if (seen.count++ == 0 || found.redeemed_at > seen.latest.redeemed_at)
                seen.latest = found;
        }
        if (found.use_no < above - 1) {
            seen.free_use_no = found.use_no + 1;
            has_free = !is_beyond;
        }
        above = found.use_no;
        is_beyond |= found.use_no > limit;
        if (++rows_read >= most_rows_read && has_free)
            break; // fewer than limit, then; somebody who redeems any number of times
    }
    if (seen.has_hold) {
        seen.latest = hold;
        return seen;
    }
    if (above > 1 && !(rows_read >= most_rows_read && has_free))
        seen.free_use_no = 1;
    if (seen.count + in_progress < limit)
        return seen;
    seen.is_allowed = seen.count < limit ? hangs_on(first_rival) : decided(false);
    seen.has_lapsed_hold = has_lapsed;
    if (has_lapsed)
        seen.latest = lapsed;
    return seen;
}

} // namespace

uses_of_user read_uses(const installation &guard, const coupon_row &coupon, const user_id &user,
                       const request_id *request, TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[2];
    SnapshotData dirty;
    index_scan scan = begin_user_scan(tables, keys, coupon, user, &dirty);
    uses_of_user seen =
        judge_uses(tables.ledger, dirty, scan, coupon.max_per_user, request, moment);
    end_scan(scan);
    return seen;
}

committed_uses read_committed_uses(const installation &guard, const coupon_row &coupon,
                                   const user_id &user, TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[2];
    index_scan scan = begin_user_scan(tables, keys, coupon, user, nullptr);
    committed_uses seen = {};
    while (next_row(scan)) {
        redemption found = read_redemption(tables.ledger, scan);
        bool is_live = found.hold_expires_at > moment;
        seen.has_hold |= is_hold(found);
        seen.has_live_hold |= is_hold(found) && is_live;
        seen.count += is_live ? 1 : 0;
    }
    end_scan(scan);
    return seen;
}

} // namespace coupon_guard
