// How units move between shards
//
// A limit is divided into rights: what each shard may give of it. They move in two transactions. On
// the giving shard one takes units out of the quota, lowers the rights by as many, and writes a row
// of coupon_transfer (out). On the other shard one raises the rights and writes a row of the same
// transfer_id (in). Between the two the units are nobody's. So at every moment
//
//   the rights of all shards + the units of rows out that have no row in = the limit
//
// and what each shard gives is bounded by its rights, as a cap is: never too many, whatever is lost
// or repeated on the way. Nor are units lost: the row out stays unsettled until somebody knows that
// its other half is committed, and anybody may write that half.
//
// Why a half is done once
//
// transfer_id is unique: of two transactions that do the same half, one waits for the other's row
// and then finds it. The row is written in the transaction that changes the rights, so both are
// there or neither.
//
// What is held while waiting
//
// Units are waited for with nothing held: neither the row of the coupon nor any unit of the quota.
// So a transfer to this shard need not wait for one from it. Then the row of the coupon (campaign)
// is locked, with units in hand. Who has it locked is another transfer, which waits for nothing any
// more, or a change of the limit, which may wait for just these units: the server ends one (40P01).
//
// The row's change is followed by the trigger of every change of a limit (follow_limits.cpp), which
// finds in the units taken ahead just as many as have to go. Without that trigger rights would not
// follow, so units move only while all triggers are in force.
//
// transfer_no counts the transfers of a limit on this shard, in the order of their commits, for the
// lock of the row is taken before the number: who has asked all shards, and asks again, knows by it
// whether anything has moved meanwhile.

#include "rights/transfer.hpp"

#include "catalog/sqlstate.hpp"
#include "coupon/campaign.hpp"
#include "coupon/coupon.hpp"
#include "pg/write.hpp"
#include "quota/claims.hpp"
#include "quota/quota_ahead.hpp"
#include "quota/shares.hpp"

extern "C" {
#include "common/int.h"
#include "utils/fmgrprotos.h"
}

namespace coupon_guard {
namespace {

constexpr char outward = 'o';
constexpr char inward = 'i';

// A row of coupon_transfer.
struct transfer {
    char direction;
    quota_id of;
    int64 units;
    shard_name peer;
    bool is_settled;
    ItemPointerData row;
};
static_assert(std::is_trivially_copyable_v<transfer>);

// ---- errors -----------------------------------------------------------------------------------

const char *limit_name(quota_kind kind) {
    return is_budget(kind) ? "budget" : "max_redemptions";
}

void report_no_owner(const transfer_request &asked) {
    ereport(ERROR, (errcode(sqlstate_not_found),
                    errmsg("%s \"%s\" does not exist", name_of(owner_of(asked.kind)),
                           clip_for_message(asked.typed))));
}

void report_no_limit(const transfer_request &asked) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("%s \"%s\" has no %s", name_of(owner_of(asked.kind)),
                           clip_for_message(asked.typed), limit_name(asked.kind)),
                    errdetail("Only limits are divided over shards.")));
}

void report_all_rights(const transfer_request &asked) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("%s \"%s\" has all its rights here", name_of(owner_of(asked.kind)),
                    clip_for_message(asked.typed)),
             errdetail("No other shard can have had units of its %s.", limit_name(asked.kind))));
}

void report_reused_transfer(const transfer_request &asked) {
    ereport(ERROR,
            (errcode(sqlstate_reused_transfer),
             errmsg("transfer id %s has been used for another transfer",
                    DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&asked.id)))),
             errdetail("A transfer id stands for one number of units of one limit, from one shard "
                       "to another."),
             errhint("Use a new transfer id for a new transfer.")));
}

void report_own_change(const quota_id &id) {
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                    errmsg("%s " INT64_FORMAT " was already changed by the command that is running",
                           name_of(owner_of(id.kind)), id.owner_id)));
}

// ---- this shard -------------------------------------------------------------------------------

bool find_own_name(const installation &guard, shard_name &name) {
    const catalog &tables = lock_table(guard, &catalog::shard_table, AccessShareLock);
    const AttrNumber column = tables.shard.name;
    Relation table = table_open(tables.shard_table, NoLock);
    table_scan scan = begin_table_scan(table);
    bool is_shard = next_row(scan);
    bool is_null = true;
    Datum value = is_shard ? slot_getattr(scan.row, column, &is_null) : Datum{0};
    if (!is_null) {
        text *given = DatumGetTextPP(value);
        name.assign(VARDATA_ANY(given), Min(VARSIZE_ANY_EXHDR(given), most_shard_name_bytes));
    }
    end_scan(scan);
    table_close(table, NoLock);
    return !is_null;
}

void check_is_shard(const installation &guard, const transfer_request &asked) {
    if (!catalog_of(guard).has_rights)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("extension coupon_guard is of a version without rights"),
                        errhint("Run ALTER EXTENSION coupon_guard UPDATE.")));
    shard_name own;
    if (!find_own_name(guard, own))
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("this server is no shard"),
                        errhint("Function coupon_guard_set_shard() makes it one.")));
    if (is_same_text(own.datum(), asked.peer.datum()))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a shard moves no units to itself"),
                        errdetail("This is shard \"%s\".", clip_for_message(own.datum()))));
}

// Once all tables are locked.
void check_follows_changes(const installation &guard) {
    if (!catalog_of(guard).follows_changes)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("units do not move while triggers of coupon_guard are not in force"),
                        errhint("ALTER TABLE ... ENABLE ALWAYS TRIGGER puts a trigger in force.")));
}

// ---- whose limit it is ------------------------------------------------------------------------

bool find_owner(const installation &guard, const code_key &key, quota_kind kind, limited_row &found,
                bool &has_holder) {
    has_holder = false;
    if (owner_of(kind) == limit_owner::campaign) {
        campaign_row campaign;
        bool exists = find_campaign(guard, key, campaign);
        if (exists)
            found = campaign;
        return exists;
    }
    coupon_row coupon;
    bool exists = find_coupon(guard, key, coupon);
    if (exists) {
        found = coupon;
        has_holder = coupon.has_holder;
    }
    return exists;
}

bool has_limit(const limited_row &row, quota_kind kind) {
    return is_budget(kind) ? has_budget(row) : is_capped(row);
}

quota quota_of(const limited_row &row, quota_kind kind) {
    const limit_owner owner = owner_of(kind);
    return is_budget(kind) ? budget_of(owner, row) : cap_of(owner, row);
}

// The quota that units are to be moved of; has_holder: of a coupon that somebody has to himself.
quota find_limit(const installation &guard, const transfer_request &asked, bool &has_holder) {
    limited_row row;
    if (!find_owner(guard, asked.owner, asked.kind, row, has_holder))
        report_no_owner(asked);
    if (!has_limit(row, asked.kind))
        report_no_limit(asked);
    return quota_of(row, asked.kind);
}

// Where a limit and its rights are.
struct rights_columns {
    AttrNumber id, limit, rights;
    AttrNumber holder; // 0: it has none
};

rights_columns columns_of(const catalog &tables, quota_kind kind) {
    const coupon_columns &coupon = tables.coupon;
    const campaign_columns &campaign = tables.campaign;
    if (owner_of(kind) == limit_owner::campaign)
        return {campaign.id, is_budget(kind) ? campaign.budget : campaign.max_redemptions,
                is_budget(kind) ? campaign.budget_rights : campaign.rights, 0};
    return {coupon.id, is_budget(kind) ? coupon.budget : coupon.max_redemptions,
            is_budget(kind) ? coupon.budget_rights : coupon.rights, coupon.holder};
}

// ---- rows of coupon_transfer ------------------------------------------------------------------

transfer read_transfer(const installation &guard, const index_scan &scan) {
    const transfer_columns &columns = catalog_of(guard).transfer;
    transfer found;
    found.direction = DatumGetChar(column_of(scan, columns.direction));
    found.of = {DatumGetInt64(column_of(scan, columns.owner_id)),
                static_cast<quota_kind>(DatumGetChar(column_of(scan, columns.kind)))};
    found.units = DatumGetInt64(column_of(scan, columns.units));
    text *peer = DatumGetTextPP(column_of(scan, columns.peer));
    found.peer.assign(VARDATA_ANY(peer), Min(VARSIZE_ANY_EXHDR(peer), most_shard_name_bytes));
    found.is_settled = !is_null(scan, columns.settled_at);
    found.row = scan.row->tts_tid;
    return found;
}

// undecided: a transaction in progress writes such a row.
outcome find_transfer(const installation &guard, const pg_uuid_t &id, transfer &found) {
    const catalog &tables = catalog_of(guard);
    const Oid table = tables.transfer_table;
    const Oid index = tables.transfer_id_index;
    ScanKeyData key = equals_uuid(1, UUIDPGetDatum(&id));
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(table, index, dirty, &key, 1);
    outcome result = decided(false);
    rival_transaction other;
    while (is_no(result) && next_row(scan)) {
        if (find_rival(scan, dirty, other))
            result = hangs_on(other);
    }
    end_scan(scan);
    if (is_undecided(result))
        return result;
    index_scan newest = begin_scan(table, index, &key, 1);
    bool exists = next_row(newest);
    if (exists) {
        depend_on_row(newest);
        found = read_transfer(guard, newest);
    }
    end_scan(newest);
    return decided(exists);
}

bool is_of(const transfer &made, char direction, const quota_id &id,
           const transfer_request &asked) {
    return made.direction == direction && is_same(made.of, id) &&
           is_same_text(made.peer.datum(), asked.peer.datum());
}

int64 last_number(const installation &guard, const quota_id &id) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData keys[] = {equals_bigint(1, id.owner_id),
                          equals_char(2, static_cast<char>(id.kind))};
    index_scan scan =
        begin_scan(tables.transfer_table, tables.transfer_limit_index, keys, lengthof(keys));
    int64 number = 0;
    if (next_row(scan, BackwardScanDirection))
        number = DatumGetInt64(column_of(scan, catalog_of(guard).transfer.transfer_no));
    end_scan(scan);
    return number;
}

// False: there is one with this id. The row of the limit is locked.
bool write_transfer(const installation &guard, const transfer_request &asked, char direction,
                    const quota_id &id, int64 units) {
    const int64 number = last_number(guard, id) + 1;
    const catalog &tables = catalog_of(guard);
    const transfer_columns &columns = tables.transfer;
    const TimestampTz now = GetCurrentTimestamp();
    bool is_out = direction == outward;
    const column_value values[] = {
        {columns.transfer_id, UUIDPGetDatum(&asked.id), false, true},
        {columns.direction, CharGetDatum(direction), false, true},
        {columns.kind, CharGetDatum(static_cast<char>(id.kind)), false, true},
        {columns.owner_id, Int64GetDatum(id.owner_id), false, true},
        {columns.units, Int64GetDatum(units), false, true},
        {columns.transfer_no, Int64GetDatum(number), false, true},
        {columns.peer, asked.peer.datum(), false, true},
        {columns.made_at, TimestampTzGetDatum(now), false, true},
        {columns.settled_at, TimestampTzGetDatum(now), is_out, true},
    };
    return insert_row(tables.transfer_plan, values, lengthof(values));
}

// Triggers of the shop have run since. Without the row as it was written the half would be done
// again.
void check_written(const installation &guard, const transfer_request &asked, char direction,
                   const quota_id &id, int64 units) {
    transfer made;
    if (!is_yes(find_transfer(guard, asked.id, made)) || !is_of(made, direction, id, asked) ||
        made.units != units)
        ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                        errmsg("a trigger changed or deleted the row of the transfer that is being "
                               "made"),
                        errdetail("That row is why a transfer is not made twice.")));
}

int64 count_under_way(const installation &guard, const quota_id &id) {
    const catalog &tables = catalog_of(guard);
    const AttrNumber units = tables.transfer.units;
    ScanKeyData keys[] = {equals_bigint(1, id.owner_id),
                          equals_char(2, static_cast<char>(id.kind))};
    index_scan scan =
        begin_scan(tables.transfer_table, tables.transfer_unsettled_index, keys, lengthof(keys));
    int64 sum = 0;
    while (next_row(scan))
        if (pg_add_s64_overflow(sum, DatumGetInt64(column_of(scan, units)), &sum))
            sum = PG_INT64_MAX; // units that came back have left again: more than there ever were
    end_scan(scan);
    return sum;
}

// Whether this shard may give nothing of the limit, and no transaction in progress is changing
// that: as of one moment, so both are read of one row. (Such a quota need not be set up, and then
// nobody knows of it what is certain.)
bool has_no_rights(const installation &guard, const quota_id &id) {
    const bool of_campaign = owner_of(id.kind) == limit_owner::campaign;
    Oid catalog::*table = of_campaign ? &catalog::campaign_table : &catalog::coupon_table;
    Oid catalog::*index = of_campaign ? &catalog::campaign_id_index : &catalog::coupon_id_index;
    const catalog &tables = lock_table(guard, table, AccessShareLock);
    const AttrNumber rights = columns_of(tables, id.kind).rights;
    ScanKeyData key = equals_bigint(1, id.owner_id);
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.*table, tables.*index, dirty, &key, 1);
    bool has_none = false;
    bool is_changing = false;
    rival_transaction other;
    while (next_row(scan)) {
        is_changing |= find_rival(scan, dirty, other);
        has_none = !is_null(scan, rights) && DatumGetInt64(column_of(scan, rights)) == 0;
    }
    end_scan(scan);
    return has_none && !is_changing;
}

// ---- changing rights --------------------------------------------------------------------------

// What the row of the limit, which is locked, says that is not as it was read, if anything.
enum class owner_state : unsigned char { as_read, has_holder, has_no_limit };

struct locked_owner {
    Relation table;
    TupleTableSlot *row;
    rights_columns columns;
    owner_state state;
    int64 limit;
    int64 rights; // all_rights if NULL
};

int64 bigint_or(const locked_owner &owner, AttrNumber column, int64 if_null) {
    bool is_null;
    Datum value = slot_getattr(owner.row, column, &is_null);
    return is_null ? if_null : DatumGetInt64(value);
}

bool read_locked(locked_owner &owner, const quota_id &id) {
    if (bigint_or(owner, owner.columns.id, id.owner_id + 1) != id.owner_id)
        return false;
    bool has_no_holder = true;
    if (owner.columns.holder != 0)
        slot_getattr(owner.row, owner.columns.holder, &has_no_holder);
    owner.limit = bigint_or(owner, owner.columns.limit, no_cap);
    owner.rights = bigint_or(owner, owner.columns.rights, all_rights);
    owner.state = owner.limit == no_cap ? owner_state::has_no_limit
                  : !has_no_holder      ? owner_state::has_holder
                                        : owner_state::as_read;
    return true;
}

// Triggers of the shop have run since it was locked.
void check_unchanged(const locked_owner &owner, const quota_id &id) {
    ItemPointerData at = owner.row->tts_tid;
    if (lock_row(owner.table, &at, owner.row, LockWaitError) != row_lock::locked)
        report_own_change(id);
}

void write_rights(const locked_owner &owner, const quota_id &id, int64 rights) {
    check_unchanged(owner, id);
    const column_value value = {owner.columns.rights, Int64GetDatum(rights), false, true};
    update_row(through_executor(owner.table), owner.row, &value, 1);
}

// Locks the row of a limit in its newest version, and does with it what is to be done; undecided if
// there was another version, or none, by then.
template <typename Deed>
outcome with_owner_locked(const installation &guard, const quota_id &id, Deed deed) {
    const bool of_campaign = owner_of(id.kind) == limit_owner::campaign;
    Oid catalog::*table = of_campaign ? &catalog::campaign_table : &catalog::coupon_table;
    Oid catalog::*index = of_campaign ? &catalog::campaign_id_index : &catalog::coupon_id_index;
    const catalog &tables = lock_table(guard, table, RowExclusiveLock);
    ScanKeyData key = equals_bigint(1, id.owner_id);
    index_scan scan = begin_scan(tables.*table, tables.*index, &key, 1);
    bool exists = next_row(scan);
    ItemPointerData at = scan.row->tts_tid;
    end_scan(scan);
    if (!exists)
        return look_again(); // the caller finds that out
    locked_owner owner;
    owner.table = table_open(catalog_of(guard).*table, NoLock);
    owner.row = table_slot_create(owner.table, nullptr);
    outcome result = look_again();
    row_lock lock = lock_row(owner.table, &at, owner.row, LockWaitBlock);
    if (lock == row_lock::own)
        report_own_change(id);
    owner.columns = columns_of(catalog_of(guard), id.kind);
    if (lock == row_lock::locked && read_locked(owner, id)) {
        depend_on_row(owner.table, owner.row);
        result = deed(owner);
    }
    ExecDropSingleTupleTableSlot(owner.row);
    table_close(owner.table, NoLock);
    return result;
}

// Of units that have been taken ahead. More may have been taken than are to leave: the trigger that
// follows gives them back.
outcome send_off(const installation &guard, const transfer_request &asked, const quota_id &id,
                 int64 units) {
    return with_owner_locked(guard, id, [&](const locked_owner &owner) {
        const int64 granted =
            owner.state == owner_state::has_no_limit ? 0 : granted_of(owner.limit, owner.rights);
        if (owner.state != owner_state::as_read || granted < units ||
            !write_transfer(guard, asked, outward, id, units))
            return look_again();
        write_rights(owner, id, granted - units);
        check_written(guard, asked, outward, id, units);
        return decided(true);
    });
}

void lock_transfers(const installation &guard) {
    lock_table(guard, &catalog::transfer_table, RowExclusiveLock);
}

} // namespace

int64 release_units(const installation &guard, const transfer_request &asked) {
    check_is_shard(guard, asked);
    lock_transfers(guard);
    int64 released = 0;
    until_decided([&] {
        CommandCounterIncrement();
        released = 0;
        bool has_holder;
        const quota from = find_limit(guard, asked, has_holder);
        transfer made;
        outcome found = find_transfer(guard, asked.id, made);
        if (is_undecided(found))
            return found;
        if (is_yes(found)) {
            if (!is_of(made, outward, from.id, asked))
                report_reused_transfer(asked);
            released = made.units;
            return found;
        }
        check_follows_changes(guard);
        if (has_holder)
            return decided(false);
        const int64 units = wait_for_units_ahead(guard, from, asked.units);
        released = Min(units, asked.units);
        if (units > 0)
            return send_off(guard, asked, from.id, released);
        // While units were waited for, somebody else may have made this very transfer.
        found = find_transfer(guard, asked.id, made);
        return is_yes(found) ? look_again() : found;
    });
    return released;
}

bool accept_units(const installation &guard, const transfer_request &asked) {
    check_is_shard(guard, asked);
    lock_transfers(guard);
    bool is_new = false;
    until_decided([&] {
        CommandCounterIncrement();
        bool has_holder;
        const quota_id id = find_limit(guard, asked, has_holder).id;
        transfer made;
        outcome found = find_transfer(guard, asked.id, made);
        if (is_undecided(found))
            return found;
        if (is_yes(found)) {
            if (!is_of(made, inward, id, asked) || made.units != asked.units)
                report_reused_transfer(asked);
            is_new = false;
            return found;
        }
        check_follows_changes(guard);
        is_new = true;
        return with_owner_locked(guard, id, [&](const locked_owner &owner) {
            if (owner.state == owner_state::has_no_limit)
                return look_again();
            if (owner.rights == all_rights)
                report_all_rights(asked);
            int64 rights;
            if (pg_add_s64_overflow(owner.rights, asked.units, &rights))
                ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                                errmsg("bigint out of range")));
            if (!write_transfer(guard, asked, inward, id, asked.units))
                return look_again();
            write_rights(owner, id, rights);
            check_written(guard, asked, inward, id, asked.units);
            return decided(true);
        });
    });
    return is_new;
}

bool settle_transfer(const installation &guard, const pg_uuid_t &id) {
    if (!catalog_of(guard).has_rights)
        return false;
    lock_transfers(guard);
    bool is_news = false;
    until_decided([&] {
        CommandCounterIncrement();
        transfer made;
        outcome found = find_transfer(guard, id, made);
        is_news = is_yes(found) && made.direction == outward && !made.is_settled;
        if (!is_news)
            return found;
        Relation table = table_open(catalog_of(guard).transfer_table, NoLock);
        TupleTableSlot *row = table_slot_create(table, nullptr);
        outcome result = look_again();
        if (lock_row(table, &made.row, row, LockWaitBlock) == row_lock::locked) {
            const column_value value = {catalog_of(guard).transfer.settled_at,
                                        TimestampTzGetDatum(GetCurrentTimestamp()), false, true};
            update_row(through_executor(table), row, &value, 1);
            result = decided(true);
        }
        ExecDropSingleTupleTableSlot(row);
        table_close(table, NoLock);
        return result;
    });
    return is_news;
}

units_here look_at_units(const installation &guard, const code_key &owner, quota_kind kind) {
    units_here seen;
    memset(&seen, 0, sizeof seen);
    bool has_holder;
    limited_row row;
    if (!catalog_of(guard).has_rights || !find_own_name(guard, seen.shard) ||
        !find_owner(guard, owner, kind, row, has_holder) || !has_limit(row, kind))
        return seen;
    lock_table(guard, &catalog::transfer_table, AccessShareLock);
    const quota from = quota_of(row, kind);
    const TimestampTz now = GetCurrentTimestamp();
    seen.has_limit = true;
    seen.id = from.id;
    seen.granted = from.granted;
    // These first: a transfer that commits before the rest is read makes another number next time.
    seen.transfers = last_number(guard, from.id);
    seen.under_way = count_under_way(guard, from.id);
    seen.remaining = has_holder ? 0 : count_remaining_units(guard, from, now);
    seen.is_dry =
        has_holder || has_no_rights(guard, from.id) || is_certain_refusal(guard, {from, 1, 0}, now);
    return seen;
}

quota_kind read_quota_kind(char kind) {
    const auto read = static_cast<quota_kind>(kind);
    switch (read) {
    case quota_kind::campaign_cap:
    case quota_kind::campaign_budget:
    case quota_kind::coupon_cap:
    case quota_kind::coupon_budget:
        return read;
    }
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"%c\" is no kind of a limit", kind),
             errhint("c: a coupon's cap; b: its budget; C: a campaign's cap; B: its "
                     "budget.")));
    pg_unreachable();
}

} // namespace coupon_guard
