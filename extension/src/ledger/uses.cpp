// Why the use numbers make every limit exact: a redemption takes a use number from 1 to the limit
// that no live row has, and the unique index lets only one row have it. Of a campaign with a limit
// it takes a second one, likewise, and the row has both or is not written. What read_uses() saw may
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

// Whose uses, of what, and how many are allowed.
struct limited_uses {
    Oid catalog::*index;
    int64 owner_id; // of the coupon, or the campaign
    const user_id &user;
    int32 redemption::*number;
    int32 limit;
    bool may_use_holds;
    const request_id *request; // that may
};

limited_uses uses_of(const coupon_row &coupon, const user_id &user, const request_id *request) {
    return {&catalog::ledger_use_index, coupon.id, user,   &redemption::use_no,
            coupon.max_per_user,        true,      request};
}

limited_uses uses_of(const campaign_row &campaign, const user_id &user) {
    return {&catalog::ledger_campaign_use_index,
            campaign.id,
            user,
            &redemption::campaign_use_no,
            campaign.max_per_user,
            false,
            nullptr};
}

index_scan begin_user_scan(const installation &guard, ScanKeyData (&keys)[2],
                           const limited_uses &of, SnapshotData *dirty) {
    const catalog &tables = catalog_of(guard);
    keys[0] = equals_bigint(1, of.owner_id);
    keys[1] = equals_text(2, of.user.datum());
    return dirty == nullptr
               ? begin_scan(tables.ledger_table, tables.*of.index, keys, lengthof(keys))
               : begin_dirty_scan(tables.ledger_table, tables.*of.index, *dirty, keys,
                                  lengthof(keys), RowExclusiveLock, guard.ledger);
}

// Whether the hold at hand is the request's to use.
bool may_use_hold(const ledger_columns &columns, const index_scan &scan, const limited_uses &of) {
    if (!of.may_use_holds)
        return false;
    if (of.request == nullptr || is_null(scan, columns.request_id))
        return true;
    return is_same_text(column_of(scan, columns.request_id), of.request->datum());
}

// The user's rows, read from the highest use number down. A row that is being updated is seen in
// two versions, and counts once.
uses_of_user judge_uses(const ledger_columns &columns, const SnapshotData &dirty, index_scan &scan,
                        const limited_uses &of, TimestampTz moment) {
    const int32 limit = of.limit;
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
        const int32 number = found.*of.number;
        Assert(rows_read == 0 || number <= above); // the index is read from its end
        rival_transaction other;
        if (find_rival(scan, dirty, other)) {
            if (in_progress == 0)
                first_rival = other;
            in_progress += number != last_rival ? 1 : 0;
            last_rival = number;
        } else {
            depend_on_row(scan);
            bool is_usable = is_hold(found) && may_use_hold(columns, scan, of);
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
        if (number < above - 1) {
            seen.free_use_no = number + 1;
            has_free = !is_beyond;
        }
        above = number;
        is_beyond |= number > limit;
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

uses_of_user read_uses(const installation &guard, const limited_uses &of, TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[2];
    SnapshotData dirty;
    index_scan scan = begin_user_scan(guard, keys, of, &dirty);
    uses_of_user seen = judge_uses(tables.ledger, dirty, scan, of, moment);
    end_scan(scan);
    return seen;
}

committed_uses read_committed_uses(const installation &guard, const limited_uses &of,
                                   TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[2];
    index_scan scan = begin_user_scan(guard, keys, of, nullptr);
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

} // namespace

uses_of_user read_uses(const installation &guard, const coupon_row &coupon, const user_id &user,
                       const request_id *request, TimestampTz moment) {
    return read_uses(guard, uses_of(coupon, user, request), moment);
}

uses_of_user read_uses(const installation &guard, const campaign_row &campaign, const user_id &user,
                       TimestampTz moment) {
    return read_uses(guard, uses_of(campaign, user), moment);
}

committed_uses read_committed_uses(const installation &guard, const coupon_row &coupon,
                                   const user_id &user, TimestampTz moment) {
    return read_committed_uses(guard, uses_of(coupon, user, nullptr), moment);
}

committed_uses read_committed_uses(const installation &guard, const campaign_row &campaign,
                                   const user_id &user, TimestampTz moment) {
    return read_committed_uses(guard, uses_of(campaign, user), moment);
}

} // namespace coupon_guard
