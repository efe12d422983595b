#include "coupon/limited_row.hpp"

#include "coupon/campaign.hpp"
#include "coupon/coupon.hpp"
#include "pg/write.hpp"

namespace coupon_guard {
namespace {

struct owner_table {
    Oid catalog::*table;
    Oid catalog::*id_index;
};

owner_table table_of(limit_owner owner) {
    Assert(owner != limit_owner::none);
    return owner == limit_owner::campaign
               ? owner_table{&catalog::campaign_table, &catalog::campaign_id_index}
               : owner_table{&catalog::coupon_table, &catalog::coupon_id_index};
}

bool has_id(const catalog &tables, limit_owner owner, TupleTableSlot *row, int64 id) {
    bool is_null;
    Datum value = slot_getattr(
        row, owner == limit_owner::campaign ? tables.campaign.id : tables.coupon.id, &is_null);
    return !is_null && DatumGetInt64(value) == id;
}

// no: there is no such row, or (unless told to wait) another transaction has it.
outcome try_to_lock(const installation &guard, limit_owner owner, int64 id, LockTupleMode mode,
                    LockWaitPolicy wait) {
    const owner_table of = table_of(owner);
    const catalog &tables = lock_table(guard, of.table, RowShareLock);
    ScanKeyData key = equals_bigint(1, id);
    index_scan scan = begin_scan(tables.*of.table, tables.*of.id_index, &key, 1);
    bool exists = next_row(scan);
    ItemPointerData at = scan.row->tts_tid;
    Oid table_oid = RelationGetRelid(scan.table);
    end_scan(scan);
    if (!exists)
        return decided(false);
    Relation table = table_open(table_oid, NoLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    row_lock result = lock_row(table, &at, row, wait, mode);
    // By then its place may be another row's.
    bool is_same = result == row_lock::locked && has_id(catalog_of(guard), owner, row, id);
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
    if (result == row_lock::busy)
        return decided(false);
    // What this command has changed itself (we are its trigger) is locked by that.
    return is_same || result == row_lock::own ? decided(true) : look_again();
}

} // namespace

bool find_limited_row(const installation &guard, limit_owner owner, int64 id, limited_row &found) {
    if (owner == limit_owner::campaign) {
        campaign_row campaign;
        bool exists = find_campaign(guard, id, campaign);
        if (exists)
            found = campaign;
        return exists;
    }
    coupon_row coupon;
    bool exists = find_coupon(guard, id, coupon);
    if (exists)
        found = coupon;
    return exists;
}

bool lock_limited_row(const installation &guard, limit_owner owner, int64 id, LockTupleMode mode,
                      bool wait) {
    return until_decided(
        [&] { return try_to_lock(guard, owner, id, mode, wait ? LockWaitBlock : LockWaitSkip); });
}

coupon_status judge_window(const limited_row &row, TimestampTz moment) {
    if (!row.active)
        return coupon_status::inactive;
    if (moment < row.starts_at)
        return coupon_status::not_started;
    if (moment >= row.expires_at)
        return coupon_status::expired;
    return coupon_status::redeemed;
}

void check_positive(const char *kind, int64 id, const char *column, int64 value) {
    if (value < 1)
        ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                        errmsg("%s " INT64_FORMAT " has %s " INT64_FORMAT, kind, id, column, value),
                        errdetail("It must be positive, or NULL.")));
}

void check_not_negative(const char *kind, int64 id, const char *column, int64 value) {
    if (value < 0)
        ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                        errmsg("%s " INT64_FORMAT " has %s " INT64_FORMAT, kind, id, column, value),
                        errdetail("It must not be negative.")));
}

} // namespace coupon_guard
