// Why the use numbers make every limit exact: a redemption takes a use number from 1 to the limit
// that no live row has, and the unique index lets only one row have it. What read_usage() saw may
// be out of date when the row is written; then the index refuses the row, and the flow starts
// over. Rows of transactions in progress count as taken while other numbers are free, so that
// nobody waits who need not: only when the limit hangs on how a rival ends is it waited for.
//
// The scan judges each row by itself (SnapshotDirty), to see the rows in progress. It can miss a
// row that is being updated just now; the unique index does not.

#include "ledger.hpp"

#include "pg/insert.hpp"
#include "pg/scan.hpp"

namespace coupon_guard {
namespace {

redemption read_redemption(const ledger_columns &columns, const index_scan &scan) {
    redemption found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.use_no = DatumGetInt32(column_of(scan, columns.use_no));
    found.redeemed_at = DatumGetTimestampTz(column_of(scan, columns.redeemed_at));
    return found;
}

// The rival that writes or deletes the row at hand, if any.
bool find_rival(const index_scan &scan, const SnapshotData &dirty, rival &found) {
    found.transaction = TransactionIdIsValid(dirty.xmin) ? dirty.xmin : dirty.xmax;
    found.speculative_token = dirty.speculativeToken;
    found.row = scan.row->tts_tid;
    return TransactionIdIsValid(found.transaction);
}

// The user's rows, read from the highest use number down.
usage count_uses(const ledger_columns &columns, const SnapshotData &dirty, index_scan &scan,
                 int32 limit) {
    usage seen = {};
    int32 live = 0;
    int32 in_progress = 0;
    int64 above = int64{limit} + 1; // the use number seen before, so the next one higher
    seen.verdict = allowance::free;
    seen.free_use_no = 1;
    while (next_row(scan, BackwardScanDirection)) {
        redemption found = read_redemption(columns, scan);
        bool is_highest = live + in_progress == 0;
        rival other;
        if (find_rival(scan, dirty, other)) {
            if (in_progress++ == 0)
                seen.rival = other;
        } else {
            depend_on_row(scan);
            if (live++ == 0 || found.redeemed_at > seen.latest.redeemed_at)
                seen.latest = found;
        }
        if (is_highest && found.use_no < limit) {
            seen.free_use_no = found.use_no + 1; // so there are fewer than limit
            return seen;
        }
        if (found.use_no < above - 1)
            seen.free_use_no = found.use_no + 1;
        above = found.use_no;
    }
    if (above > 1)
        seen.free_use_no = 1;
    if (live >= limit)
        seen.verdict = allowance::used_up;
    else if (live + in_progress >= limit)
        seen.verdict = allowance::undecided;
    return seen;
}

bool finds_any_row(const schema &objects, ScanKeyData *keys, int count) {
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan =
        begin_scan(objects.ledger_table, objects.ledger_use_index, newest, keys, count);
    bool found = next_row(scan);
    end_scan(scan);
    UnregisterSnapshot(newest);
    return found;
}

} // namespace

usage read_usage(const schema &objects, const coupon &offer, const user_id &user) {
    ScanKeyData keys[] = {equals_bigint(1, offer.id), equals_text(2, user.datum())};
    SnapshotData dirty;
    InitDirtySnapshot(dirty);
    index_scan scan =
        begin_scan(objects.ledger_table, objects.ledger_use_index, &dirty, keys, lengthof(keys));
    usage seen = count_uses(objects.ledger, dirty, scan, offer.max_per_user);
    end_scan(scan);
    return seen;
}

void wait_for_rival(const schema &objects, const rival &rival) {
    if (rival.speculative_token != 0) {
        SpeculativeInsertionWait(rival.transaction, rival.speculative_token);
        return;
    }
    Relation ledger = table_open(objects.ledger_table, NoLock);
    ItemPointerData row = rival.row;
    XactLockTableWait(rival.transaction, ledger, &row, XLTW_InsertIndex);
    table_close(ledger, NoLock);
}

bool append_redemption(const schema &objects, const new_redemption &wanted, redemption &written) {
    written.id = nextval_internal(objects.ledger_id_sequence, false);
    written.use_no = wanted.use_no;
    written.redeemed_at = wanted.moment;

    const ledger_columns &ledger = objects.ledger;
    const column_value values[] = {
        {ledger.id, Int64GetDatum(written.id), false, true},
        {ledger.coupon_id, Int64GetDatum(wanted.coupon_id), false, true},
        {ledger.user_id, wanted.user->datum(), false, true},
        {ledger.use_no, Int32GetDatum(wanted.use_no), false, true},
        {ledger.redeemed_at, TimestampTzGetDatum(wanted.moment), false, true},
        {ledger.metadata, wanted.metadata, !wanted.has_metadata, false},
    };
    const AttrNumber use[] = {ledger.coupon_id, ledger.user_id, ledger.use_no};
    return insert_row(objects.ledger_table, {values, lengthof(values), use, lengthof(use)});
}

bool has_redemptions(const schema &objects, int64 coupon_id) {
    ScanKeyData keys[] = {equals_bigint(1, coupon_id)};
    return finds_any_row(objects, keys, lengthof(keys));
}

bool has_redemptions(const schema &objects) {
    return finds_any_row(objects, nullptr, 0);
}

} // namespace coupon_guard
