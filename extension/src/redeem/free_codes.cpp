// Which codes are handed out
//
// One that nobody holds, that is active and has not expired (whether it has started does not
// matter), and that nobody has redeemed or holds (a hold of it) at present. What cannot be handed
// out is passed over.
//
// Why a code has one holder
//
// It is an update of the very version that was read (lock_row() refuses any other), and
// coupon_campaign_holder_unique lets a user be the holder of one only. A claim that is rolled back
// leaves the version that it has changed, so the code is free again.
//
// What bounds the work
//
// Free codes are found in coupon_campaign_free, in the order of their ids. A code that is claimed
// leaves its entry there until the next VACUUM. Scans mark what is dead for everybody, so that a
// later one passes over a page of such entries in one step; but somebody's old snapshot may forbid
// that, and there are long runs of codes that a transaction in progress is just making. So nobody
// begins at the first entry. A backend goes on behind the code that it took last: it has a run of
// codes of its own, meets nobody, and passes each entry once. If it has taken none, or meets no
// code within most_entries_at_once entries, it tries some other places, at random among the ids.
// Only when all these tries have failed are all entries looked at, from the last of the places
// round to it. Codes in other hands are passed over, too; so nobody waits while others are left.
//
// Why "none" is never said too early
//
// When the look at all entries finds no code, but one that a transaction in progress has made, is
// changing or is giving back, that is waited for. When it finds none of these either, something may
// still have happened behind it: a code that came free, while another was taken in front. So the
// entries are gone through once more, under a snapshot that was taken at one moment before: at that
// moment
//
//   - no version was committed and free that could be handed out: those that the snapshot shows,
//     whatever became of them since, are a reason to look again;
//   - no transaction in progress had made such a version (or brought an earlier one back by being
//     rolled back): if one is in progress still, it is waited for; if it has committed since, its
//     version is found free, or, if it has been taken, is one that the snapshot does not show
//     though it is committed, which is a reason to look again.
//
// No entry of these can have been removed or marked as dead meanwhile, for the snapshot is kept.
// For the same reason, with the snapshot of the caller's statement, that there is no entry at all
// but such as are marked is proof enough. A code that comes free later is a matter of later. That a
// code has been redeemed is judged code by code.

#include "redeem/free_codes.hpp"

#include "ledger/ledger.hpp"

extern "C" {
#include "common/pg_prng.h"
}

namespace coupon_guard {
namespace {

constexpr int64 most_entries_at_once = 128;
constexpr int most_tries = 4;

// The code that the backend took last: only where to go on.
struct last_code {
    Oid table;
    int64 campaign_id;
    int64 id;
};
constexpr uint64 last_code_count = 64; // a power of two
last_code last_codes[last_code_count];

last_code &last_code_of(int64 campaign_id) {
    return last_codes[static_cast<uint64>(campaign_id) & (last_code_count - 1)];
}

// What a look at codes has met, but for the one that it was for.
struct codes_met {
    bool has_entry;
    bool has_rival; // a transaction in progress that has a code
    rival_transaction rival;
    busy_code busy;
};

struct id_range {
    int64 first;
    int64 last;
};

// Whether the code at hand, which nobody holds or is changing, can be handed out.
outcome can_be_claimed(const code_search &search, const index_scan &scan) {
    const coupon_columns columns = catalog_of(search.guard).coupon;
    bool is_over = search.moment >= DatumGetTimestampTz(column_or(scan, columns.expires_at,
                                                                  TimestampTzGetDatum(DT_NOEND)));
    bool is_elsewhere = columns.rights != 0 && // its unit is with another shard
                        DatumGetInt64(column_or(scan, columns.rights, Int64GetDatum(1))) == 0;
    if (is_over || is_elsewhere || !DatumGetBool(column_of(scan, columns.active)))
        return decided(false);
    return is_unused(search.guard, DatumGetInt64(column_of(scan, columns.id)), search.moment);
}

void note_rival(codes_met &met, const rival_transaction &other) {
    if (!met.has_rival)
        met.rival = other;
    met.has_rival = true;
}

// The next code in the range that can be handed out. entries: how many may be met, and in the end
// how many are left of that.
bool find_code(const code_search &search, const id_range &range, int64 &entries,
               campaign_code &found, codes_met &met) {
    const catalog &tables = catalog_of(search.guard);
    ScanKeyData keys[] = {equals_bigint(1, search.campaign_id), is_at_least_bigint(2, range.first),
                          is_at_most_bigint(2, range.last)};
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.coupon_table, tables.coupon_free_index, dirty, keys,
                                       lengthof(keys));
    scan.entries_left = entries;
    bool is_found = false;
    while (!is_found && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        rival_transaction other;
        outcome end =
            find_rival(scan, dirty, other) ? hangs_on(other) : can_be_claimed(search, scan);
        if (is_undecided(end))
            note_rival(met, end.rival);
        is_found = is_yes(end);
    }
    if (is_found)
        found = read_code(search.guard, scan);
    entries = scan.entries_left;
    end_scan(scan);
    return is_found;
}

// Takes the first code of the range that can be had without waiting. entries: as for find_code().
bool take_from(const code_search &search, id_range range, int64 &entries, campaign_code &taken,
               codes_met &met) {
    while (range.first <= range.last && find_code(search, range, entries, taken, met)) {
        outcome end = change_holder(search.guard, taken, search.user.datum(), true, LockWaitSkip);
        if (is_yes(end)) {
            last_code_of(search.campaign_id) = {catalog_of(search.guard).coupon_table,
                                                search.campaign_id, taken.id};
            return true;
        }
        if (is_no(end))
            met.busy = {true, taken};
        if (taken.id == range.last)
            break;
        range.first = taken.id + 1;
    }
    return false;
}

// The same of all ids, from a place on and round to it. no: there is none; undecided: so many
// entries have been met before all were looked at.
outcome take_round(const code_search &search, int64 place, int64 most_entries, campaign_code &taken,
                   codes_met &met) {
    met = {};
    int64 entries = most_entries;
    if (take_from(search, {place, PG_INT64_MAX}, entries, taken, met) ||
        (place > PG_INT64_MIN && take_from(search, {PG_INT64_MIN, place - 1}, entries, taken, met)))
        return decided(true);
    met.has_entry = entries < most_entries;
    return entries > 0 ? decided(false) : look_again();
}

// An id between the first and the last of the index, whatever became of their rows. False if there
// is none.
bool choose_place(const code_search &search, int64 &place) {
    const catalog &tables = catalog_of(search.guard);
    ScanKeyData key = equals_bigint(1, search.campaign_id);
    int64 first;
    int64 last;
    if (!find_outermost(tables.coupon_table, tables.coupon_free_index, &key, 1,
                        ForwardScanDirection, 2, first) ||
        !find_outermost(tables.coupon_table, tables.coupon_free_index, &key, 1,
                        BackwardScanDirection, 2, last))
        return false;
    uint64 width = last > first ? static_cast<uint64>(last) - static_cast<uint64>(first) : 0;
    place = static_cast<int64>(static_cast<uint64>(first) +
                               pg_prng_uint64_range(&pg_global_prng_state, 0, width));
    return true;
}

// That nothing is free, and nothing in progress, is proven by a look at all versions.
outcome prove_none(const code_search &search) {
    const catalog &tables = catalog_of(search.guard);
    Snapshot moment = RegisterSnapshot(GetLatestSnapshot());
    ScanKeyData key = equals_bigint(1, search.campaign_id);
    index_scan scan = begin_version_scan(tables.coupon_table, tables.coupon_free_index, &key, 1);
    outcome result = decided(false);
    while (is_no(result) && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        rival_transaction other;
        switch (fate_of_version(scan, moment, other)) {
        case version_fate::gone:
            break;
        case version_fate::changed:
            result = look_again();
            break;
        case version_fate::in_progress:
            result = hangs_on(other);
            break;
        case version_fate::there:
            result = can_be_claimed(search, scan);
            if (is_yes(result))
                result = look_again();
            break;
        }
    }
    end_scan(scan);
    UnregisterSnapshot(moment);
    return result;
}

} // namespace

outcome is_unused(const installation &guard, int64 coupon_id, TimestampTz moment) {
    const catalog &tables = catalog_of(guard);
    ScanKeyData key = equals_bigint(1, coupon_id);
    SnapshotData dirty;
    index_scan scan = begin_dirty_scan(tables.ledger_table, tables.ledger_use_index, dirty, &key, 1,
                                       AccessShareLock);
    outcome result = decided(true);
    while (!is_no(result) && next_row(scan)) {
        CHECK_FOR_INTERRUPTS();
        rival_transaction other;
        if (find_rival(scan, dirty, other))
            result = hangs_on(other);
        else if (read_redemption(tables.ledger, scan).hold_expires_at > moment)
            result = decided(false);
    }
    end_scan(scan);
    return result;
}

outcome take_free_code(const code_search &search, campaign_code &taken, busy_code &busy) {
    busy.is_there = false;
    codes_met met;
    const last_code last = last_code_of(search.campaign_id);
    bool has_place = last.campaign_id == search.campaign_id &&
                     last.table == catalog_of(search.guard).coupon_table;
    int64 place = last.id;
    outcome end = look_again();
    for (int tries = 1; is_undecided(end); tries++) {
        if (!has_place && !choose_place(search, place))
            return decided(false);
        has_place = false;
        int64 most_entries = tries < most_tries ? most_entries_at_once : PG_INT64_MAX;
        end = take_round(search, place, most_entries, taken, met);
    }
    if (is_yes(end) || !met.has_entry)
        return end;
    busy = met.busy;
    if (busy.is_there)
        return look_again();
    return met.has_rival ? hangs_on(met.rival) : prove_none(search);
}

} // namespace coupon_guard
