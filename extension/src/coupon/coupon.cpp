#include "coupon/coupon.hpp"

#include "catalog/invalidation.hpp"
#include "coupon/coupon_cache.hpp"
#include "pg/scan.hpp"
#include "pg/text_value.hpp"
#include "pg/write.hpp"

namespace coupon_guard {
namespace {

void check_positive(int64 coupon_id, const char *column, int64 value) {
    if (value < 1)
        ereport(ERROR,
                (errcode(ERRCODE_CHECK_VIOLATION),
                 errmsg("coupon " INT64_FORMAT " has %s " INT64_FORMAT, coupon_id, column, value),
                 errdetail("It must be positive, or NULL.")));
}

coupon_row read_coupon(const coupon_columns &columns, const index_scan &scan) {
    coupon_row found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.active = DatumGetBool(column_of(scan, columns.active));
    found.starts_at =
        DatumGetTimestampTz(column_or(scan, columns.starts_at, TimestampTzGetDatum(DT_NOBEGIN)));
    found.expires_at =
        DatumGetTimestampTz(column_or(scan, columns.expires_at, TimestampTzGetDatum(DT_NOEND)));
    found.max_redemptions = no_cap;
    if (!is_null(scan, columns.max_redemptions)) {
        found.max_redemptions = DatumGetInt64(column_of(scan, columns.max_redemptions));
        check_positive(found.id, "max_redemptions", found.max_redemptions);
    }
    found.budget = no_budget;
    if (columns.budget != 0 && !is_null(scan, columns.budget)) {
        found.budget = DatumGetInt64(column_of(scan, columns.budget));
        check_positive(found.id, "budget", found.budget);
    }
    found.max_per_user =
        DatumGetInt32(column_or(scan, columns.max_per_user, Int32GetDatum(no_limit)));
    check_positive(found.id, "max_per_user", found.max_per_user);
    found.stripes = DatumGetInt32(column_or(scan, columns.stripes, Int32GetDatum(0)));
    found.terms = column_or(scan, columns.terms, Datum{0});
    found.has_terms = found.terms != Datum{0};
    if (found.has_terms) // while the snapshot still protects what may be toasted
        found.terms = PointerGetDatum(PG_DETOAST_DATUM_COPY(found.terms));
    found.has_holder = columns.holder != 0 && !is_null(scan, columns.holder);
    found.holder = found.has_holder
                       ? PointerGetDatum(PG_DETOAST_DATUM_COPY(column_of(scan, columns.holder)))
                       : Datum{0};
    return found;
}

// The newest version of the coupon that the key finds in the index. settled says whether its row
// is committed and nobody is changing it.
bool read_newest(const installation &guard, Oid catalog::*index, ScanKeyData key, coupon_row &found,
                 bool &settled) {
    const catalog &tables = lock_table(guard, &catalog::coupon_table, AccessShareLock);
    coupon_columns columns = tables.coupon;
    index_scan scan = begin_scan(tables.coupon_table, tables.*index, &key, 1);
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_coupon(columns, scan);
        settled = is_settled(scan);
    }
    end_scan(scan);
    return exists;
}

} // namespace

bool find_coupon(const installation &guard, const code_key &key, coupon_row &found) {
    if (key.error != code_key_error::none)
        return false; // no coupon can have such a code
    if (find_cached_coupon(guard, key, found))
        return true;
    text_value<max_ascii_code_key_bytes> key_text;
    key_text.assign(key.bytes, key.length);
    uint64 changes = coupon_changes();
    bool settled;
    if (!read_newest(guard, &catalog::coupon_key_index, equals_text(1, key_text.datum()), found,
                     settled))
        return false;
    if (settled && !found.has_holder) // one customer asks for such a coupon, seldom twice
        cache_coupon(guard, key, found, changes);
    return true;
}

bool find_coupon(const installation &guard, int64 id, coupon_row &found) {
    bool settled;
    return read_newest(guard, &catalog::coupon_id_index, equals_bigint(1, id), found, settled);
}

static bool has_id(TupleTableSlot *row, AttrNumber column, int64 id) {
    bool is_null;
    Datum value = slot_getattr(row, column, &is_null);
    return !is_null && DatumGetInt64(value) == id;
}

// no: there is no such coupon, or (unless told to wait) another transaction has its row.
static outcome try_to_lock(const installation &guard, int64 id, LockTupleMode mode,
                           LockWaitPolicy wait) {
    const catalog &tables = lock_table(guard, &catalog::coupon_table, RowShareLock);
    ScanKeyData key = equals_bigint(1, id);
    index_scan scan = begin_scan(tables.coupon_table, tables.coupon_id_index, &key, 1);
    bool exists = next_row(scan);
    ItemPointerData at = scan.row->tts_tid;
    Oid table_oid = RelationGetRelid(scan.table);
    end_scan(scan);
    if (!exists)
        return decided(false);
    Relation table = table_open(table_oid, NoLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    row_lock result = lock_row(table, &at, row, wait, mode);
    // By then its place may be another coupon's.
    bool is_same = result == row_lock::locked && has_id(row, catalog_of(guard).coupon.id, id);
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
    if (result == row_lock::busy)
        return decided(false);
    // What this command has changed itself (we are its trigger) is locked by that.
    return is_same || result == row_lock::own ? decided(true) : look_again();
}

bool lock_coupon(const installation &guard, int64 id, LockTupleMode mode) {
    return until_decided([&] { return try_to_lock(guard, id, mode, LockWaitBlock); });
}

bool lock_coupon_at_once(const installation &guard, int64 id, LockTupleMode mode) {
    return until_decided([&] { return try_to_lock(guard, id, mode, LockWaitSkip); });
}

coupon_status judge_coupon(const coupon_row &coupon, Datum user, TimestampTz moment) {
    if (!coupon.active)
        return coupon_status::inactive;
    if (moment < coupon.starts_at)
        return coupon_status::not_started;
    if (moment >= coupon.expires_at)
        return coupon_status::expired;
    if (coupon.has_holder && !is_same_text(coupon.holder, user))
        return coupon_status::reserved;
    return coupon_status::redeemed;
}

} // namespace coupon_guard
