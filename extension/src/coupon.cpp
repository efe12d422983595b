#include "coupon.hpp"

#include "coupon_cache.hpp"
#include "pg/scan.hpp"
#include "pg/text_value.hpp"
#include "pg/write.hpp"

namespace coupon_guard {
namespace {

coupon read_coupon(const coupon_columns &columns, const index_scan &scan) {
    coupon found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.active = DatumGetBool(column_of(scan, columns.active));
    found.starts_at =
        DatumGetTimestampTz(column_or(scan, columns.starts_at, TimestampTzGetDatum(DT_NOBEGIN)));
    found.expires_at =
        DatumGetTimestampTz(column_or(scan, columns.expires_at, TimestampTzGetDatum(DT_NOEND)));
    found.max_redemptions =
        DatumGetInt64(column_or(scan, columns.max_redemptions, Int64GetDatum(no_cap)));
    found.max_per_user =
        DatumGetInt32(column_or(scan, columns.max_per_user, Int32GetDatum(no_limit)));
    found.terms = column_or(scan, columns.terms, Datum{0});
    found.has_terms = found.terms != Datum{0};
    if (found.has_terms) // while the snapshot still protects what may be toasted
        found.terms = PointerGetDatum(PG_DETOAST_DATUM_COPY(found.terms));
    return found;
}

// The newest version of the coupon that the key finds in the index. settled says whether its row
// is committed and nobody is changing it.
bool read_newest(const schema &objects, Oid index, ScanKeyData key, coupon &found, bool &settled) {
    // An MVCC snapshot, for a scan that judges each row by itself can miss a row that is being
    // updated: it may see neither the new version, not yet committed, nor the old, dead by then.
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    LockRelationOid(objects.coupon_table, AccessShareLock);
    index_scan scan = begin_scan(objects.coupon_table, index, newest, &key, 1);
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_coupon(objects.coupon, scan);
        settled = is_settled(scan);
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    return exists;
}

} // namespace

bool find_coupon(const schema &objects, const code_key &key, coupon &found) {
    if (key.error != code_key_error::none)
        return false; // no coupon can have such a code
    if (find_cached_coupon(objects, key, found))
        return true;
    text_value<max_ascii_code_key_bytes> key_text;
    key_text.assign(key.bytes, key.length);
    uint64 changes = coupon_changes_heard();
    bool settled;
    if (!read_newest(objects, objects.coupon_key_index, equals_text(1, key_text.datum()), found,
                     settled))
        return false;
    if (settled)
        cache_coupon(objects, key, found, changes);
    return true;
}

bool find_coupon(const schema &objects, int64 id, coupon &found) {
    bool settled;
    return read_newest(objects, objects.coupon_id_index, equals_bigint(1, id), found, settled);
}

bool lock_coupon(const schema &objects, int64 id, LockTupleMode mode) {
    Relation table = table_open(objects.coupon_table, RowShareLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    bool locked = false;
    bool exists = true;
    while (!locked && exists) {
        CHECK_FOR_INTERRUPTS();
        ScanKeyData key = equals_bigint(1, id);
        Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
        index_scan scan =
            begin_scan(objects.coupon_table, objects.coupon_id_index, newest, &key, 1);
        exists = next_row(scan);
        ItemPointerData at = scan.row->tts_tid;
        end_scan(scan);
        UnregisterSnapshot(newest);
        if (exists) {
            row_lock result = lock_row(table, &at, row, LockWaitBlock, mode);
            // What this command has changed itself (we are its trigger) is locked by that.
            locked = result == row_lock::locked || result == row_lock::own;
        }
    }
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
    return locked;
}

status judge_coupon(const coupon &offer, TimestampTz moment) {
    if (!offer.active)
        return status::inactive;
    if (moment < offer.starts_at)
        return status::not_started;
    if (moment >= offer.expires_at)
        return status::expired;
    return status::redeemed;
}

} // namespace coupon_guard
