// How units are taken
//
// A stripe that nobody else has changed and not yet committed is taken from without waiting: first
// the one that served last, then the backend's own, then any that has enough. Where no single one
// has enough, and all together do, they are gathered from several, in a subtransaction: if one that
// was counted on is gone by then, the subtransaction is rolled back. So are units of expired holds
// added, if there are too few without. So a transaction that waits here never holds units of the
// quota that it cannot use yet, and two that gather cannot wait for each other.
//
// A quota has few stripes at first (unless its owner says how many). A buyer who has met rivals on
// them and then takes from a stripe that is not the backend's own divides it, and the other half
// becomes the backend's own: so there are soon as many as buyers who meet, and no more.
//
// Why no unit is lost or made
//
// Every change of `remaining` is an update of the very version that was read (heap_update() refuses
// any other), in the transaction that writes or voids the redemption, so both are committed
// together or not at all.
//
// Why "too few" is never said too early
//
// A scan judges each row by itself, at the moment at which it comes to it: a unit that is moved or
// given back behind the scan while another is taken ahead of it would not be seen. So the stripes
// are scanned until two scans in a row have met the same index entries and, for each, the same
// state: the same versions, being changed by the same transactions or by none. A version does not
// return to a state that it has left (a transaction that changes it leaves its number there, even
// if it is rolled back), and a row that came and went has left its index entry. So between the two
// scans there was a moment when all was as both have seen it; in between, too, the holds whose
// deadline has passed were counted, of which there can only become fewer. At that moment
//
//   - the units of all stripes that nobody was changing,
//   - of each that somebody was, the most that it can have, whichever way that transaction ends,
//   - and the units of the expired holds, those included that somebody is ending just now
//
// were fewer than asked for. Units that somebody gives back later are a matter of later. The sum
// may be more than can really come (of a transaction that has moved units between two stripes it
// counts both), then the buyer waits where nothing will come of it; it is never less.
//
// Where they may be enough, the rival that was met first is waited for.

#include "quota/take_stripes.hpp"

#include "pg/subtransaction.hpp"
#include "quota/limit.hpp"
#include "quota/quota_stripes.hpp"

namespace coupon_guard {

int quota_stripes = 64;

namespace {

// Two scans in a row differ only if somebody changes something in between.
constexpr int most_scans = 4;

// What a transaction wants of the stripes.
struct want {
    quota_id id;
    int64 least;     // of one stripe, or none
    int64 most;      // 0: only to look
    int32 home;      // the stripe that is the backend's own
    bool may_divide; // the home stripe is not there, and others are in demand
};

// What a scan over the stripes found.
struct stripe_scan {
    int64 taken; // 0: none
    bool has_home;
    bool has_anchor;   // which nobody is making or deleting
    int64 free;        // units of stripes that nobody is changing
    int64 in_progress; // units, at the most, of the others
    bool has_rival;
    rival_transaction rival;
    bool has_busy; // a stripe with enough that somebody has locked, or changed just now
    stripe_row busy;
    uint64 fingerprint;
};

int64 add_units(int64 sum, int64 units) {
    return units > PG_INT64_MAX - sum ? PG_INT64_MAX : sum + units;
}

int64 most_units(const stripe_scan &seen) {
    return add_units(seen.free, seen.in_progress);
}

// The stripe that the backend last took from, and the place of its version then: only where to look
// first, without the index.
struct last_stripe {
    quota_id id;
    Oid table;
    ItemPointerData tid;
};
constexpr uint64 last_stripe_count = 4096; // a power of two
last_stripe last_stripes[last_stripe_count];

last_stripe &last_stripe_of(const quota_id &id) {
    return last_stripes[slot_number(id) & (last_stripe_count - 1)];
}

// Takes from the version of a stripe that was read; how many units, 0 if it has changed since or
// (unless told to wait) another transaction has it.
int64 take_from_stripe(const installation &guard, Relation table, const want &wanted,
                       stripe_row &found, bool wait) {
    Assert(found.remaining > 0 && wanted.most > 0);
    int64 amount = Min(wanted.most, found.remaining);
    bool divides = wanted.may_divide && found.stripe != wanted.home;
    int64 share = divides ? (found.remaining - amount) / 2 : 0;
    if (!change_stripe(guard, table, wanted.id, found, found.remaining - amount - share, wait))
        return 0;
    if (share > 0) // next time the home stripe
        ItemPointerSetInvalid(&found.tid);
    last_stripe_of(wanted.id) = {wanted.id, RelationGetRelid(table), found.tid};
    // A rival may have made the home stripe meanwhile: then the share is taken ahead.
    if (share > 0 && insert_stripe(guard, wanted.id, wanted.home, share))
        share = 0;
    return amount + share;
}

// Adds a row that a rival is changing. Versions of one stripe come one after the other, and only
// one of them will be left.
struct rival_stripe {
    int32 stripe;
    int64 most;
};
void add_rival(stripe_scan &seen, rival_stripe &last, const stripe_row &found,
               const rival_transaction &other) {
    if (!seen.has_rival) // not all wait for the same one
        seen.rival = other;
    if (!seen.has_rival || last.stripe != found.stripe)
        last = {found.stripe, 0};
    seen.has_rival = true;
    int64 more = Max(found.remaining - last.most, 0);
    seen.in_progress = add_units(seen.in_progress, more);
    last.most += more;
}

// Scans the stripes, in the order of the index, and takes from the first that has enough.
stripe_scan scan_stripes(const installation &guard, index_scan &scan, const SnapshotData &dirty,
                         const want &wanted) {
    stripe_scan seen = {};
    rival_stripe last = {};
    uint64 states = 0;
    while (seen.taken == 0 && next_row(scan)) {
        stripe_row found = read_stripe(guard, scan);
        states = combine(states, state_of_row(scan, dirty));
        seen.has_home |= found.stripe == wanted.home;
        rival_transaction other;
        bool has_rival = find_rival(scan, dirty, other);
        if (!is_current(guard, found)) { // of no use, whoever has it: but it may be set up anew
            found.remaining = 0;
        } else if (found.stripe == anchor) {
            bool is_new = has_rival && TransactionIdIsValid(dirty.xmin);
            seen.has_anchor |= !is_new && !(has_rival && is_being_deleted(scan, dirty));
        }
        if (has_rival) {
            add_rival(seen, last, found, other);
            continue;
        }
        seen.free = add_units(seen.free, found.remaining);
        if (found.remaining < wanted.least || wanted.most == 0)
            continue;
        const stripe_row as_read = found;
        seen.taken = take_from_stripe(guard, scan.table, wanted, found, false);
        if (seen.taken == 0) {
            seen.busy = as_read;
            seen.has_busy = true;
        }
    }
    seen.fingerprint = combine(scan.fingerprint, states);
    return seen;
}

stripe_scan scan_home(const installation &guard, const want &wanted) {
    stripe_keys keys = keys_of(wanted.id, wanted.home);
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
    stripe_scan seen = scan_stripes(guard, scan, dirty, wanted);
    end_scan(scan);
    return seen;
}

want want_of(const request_for_units &asked) {
    int64 count = Max(Min(asked.from.granted, int64{most_stripes(asked.from)}), 1);
    auto home = static_cast<int32>(backend_number() % count);
    return {asked.from.id, asked.least, asked.most, home, false};
}

// Scans all stripes; if there seem to be too few, again, until that is certain.
stripe_scan scan_all(const installation &guard, const want &wanted, TimestampTz moment,
                     shortage &reason) {
    stripe_keys keys = keys_of(wanted.id);
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
    stripe_scan seen = scan_stripes(guard, scan, dirty, wanted);
    reason = shortage::none;
    for (int scans = 1; reason == shortage::none && scans < most_scans; scans++) {
        int64 missing = wanted.least - most_units(seen);
        if (seen.taken > 0 || !seen.has_anchor || missing <= 0)
            break;
        int64 expired = most_expired_use(guard, wanted.id, moment, missing);
        if (expired >= missing) {
            reason = shortage::needs_holds;
            break;
        }
        uint64 before = seen.fingerprint;
        restart_scan(scan, keys.of, keys.count);
        seen = scan_stripes(guard, scan, dirty, wanted);
        if (seen.fingerprint == before)
            reason = shortage::proven;
    }
    end_scan(scan);
    return seen;
}

// Takes from the stripe at this place, if it is still there. 0: it is not, has too few, or is not
// to be had.
int64 take_from_stripe_at(const installation &guard, const want &wanted, ItemPointerData tid,
                          bool wait) {
    Relation table = table_open(catalog_of(guard).quota_table, NoLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    stripe_row found;
    int64 amount = 0;
    if (read_stripe_at(guard, table, tid, wanted.id, row, found) && found.remaining > 0 &&
        found.remaining >= wanted.least && is_current(guard, found))
        amount = take_from_stripe(guard, table, wanted, found, wait);
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
    return amount;
}

int64 take_from_last_stripe(const installation &guard, const want &wanted) {
    const last_stripe last = last_stripe_of(wanted.id);
    bool is_known = is_same(last.id, wanted.id) && last.table == catalog_of(guard).quota_table;
    return is_known ? take_from_stripe_at(guard, wanted, last.tid, false) : 0;
}

// Takes from stripe after stripe, from the one that is waited for first, until there are as many as
// wanted. False if they fall short: busy is then one that another transaction has, if any is.
bool gather_all(const installation &guard, const want &wanted, const stripe_row *waited_for,
                stripe_scan &busy) {
    want missing = wanted;
    missing.least = 1;
    missing.most = wanted.least;
    missing.may_divide = false;
    if (waited_for != nullptr)
        missing.most -= take_from_stripe_at(guard, missing, waited_for->tid, true);
    stripe_keys keys = keys_of(wanted.id);
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
    while (missing.most > 0) {
        stripe_scan seen = scan_stripes(guard, scan, dirty, missing);
        missing.most -= seen.taken;
        if (seen.has_busy)
            busy = seen;
        if (seen.taken == 0)
            break;
    }
    end_scan(scan);
    return missing.most == 0;
}

// Takes as many as wanted, no more, from several stripes.
taking gather_units(const installation &guard, const want &wanted) {
    stripe_scan busy = {};
    if (in_subtransaction([&] { return gather_all(guard, wanted, nullptr, busy); }))
        return taken(wanted.least);
    if (!busy.has_busy)
        return without_units(look_again());
    // Only such are left that somebody has locked: nothing of the quota is held by now.
    const stripe_row waited_for = busy.busy;
    if (in_subtransaction([&] { return gather_all(guard, wanted, &waited_for, busy); }))
        return {decided(true), wanted.least, true};
    return without_units(look_again());
}

outcome end_expired_hold(const installation &guard, const want &wanted, TimestampTz moment,
                         bool may_wait, int64 &freed) {
    bool has_waited = false;
    return end_expired_hold(guard, wanted.id, moment, may_wait, freed, has_waited);
}

// Ends as many expired holds as are needed besides the free units, and gathers these. False if they
// fall short, for a hold perhaps that a rival has: stopped says so.
bool gather_with_holds(const installation &guard, const want &wanted, TimestampTz moment,
                       int64 free, outcome &stopped) {
    int64 freed = 0;
    while (freed < wanted.least && freed + free < wanted.least) {
        int64 more = 0;
        stopped = end_expired_hold(guard, wanted, moment, false, more);
        if (!is_yes(stopped))
            return false;
        freed += more;
    }
    CommandCounterIncrement();
    if (freed > wanted.least)
        return_units(guard, wanted.id, freed - wanted.least);
    want rest = wanted;
    rest.least -= freed;
    stripe_scan busy = {};
    return rest.least <= 0 || gather_all(guard, rest, nullptr, busy);
}

taking gather_units_with_holds(const installation &guard, const want &wanted, TimestampTz moment,
                               const stripe_scan &seen) {
    outcome stopped = look_again();
    bool has_all = in_subtransaction(
        [&] { return gather_with_holds(guard, wanted, moment, seen.free, stopped); });
    if (has_all)
        return taken(wanted.least);
    if (seen.has_rival)
        return without_units(hangs_on(seen.rival));
    if (is_undecided(stopped) && !TransactionIdIsValid(stopped.rival.transaction))
        in_subtransaction([&] { // only the lock of a hold is waited for
            int64 freed;
            end_expired_hold(guard, wanted, moment, true, freed);
            return false;
        });
    return without_units(is_undecided(stopped) ? stopped : look_again());
}

// Waits for the one stripe at hand: only such are left that somebody has locked.
taking take_busy_stripe(const installation &guard, const want &wanted, const stripe_row &busy) {
    int64 amount = take_from_stripe_at(guard, wanted, busy.tid, true);
    return amount > 0 ? taking{decided(true), amount, true} : without_units(look_again());
}

} // namespace

taking take_from_stripes(const installation &guard, const request_for_units &asked,
                         shortage &reason) {
    Assert(asked.least > 0 && asked.most >= asked.least);
    reason = shortage::none;
    want wanted = want_of(asked);
    int64 amount = take_from_last_stripe(guard, wanted);
    if (amount > 0)
        return taken(amount);
    stripe_scan seen = scan_home(guard, wanted);
    if (seen.taken > 0)
        return taken(seen.taken);
    wanted.may_divide = asked.contended && !seen.has_home;
    seen = scan_all(guard, wanted, asked.moment, reason);
    if (seen.taken > 0)
        return taken(seen.taken);
    if (reason == shortage::needs_holds && wanted.least > 1) {
        reason = shortage::none;
        return gather_units_with_holds(guard, wanted, asked.moment, seen);
    }
    if (reason != shortage::none)
        return without_units(decided(false));
    if (!seen.has_anchor && !seen.has_rival) {
        reason = shortage::is_not_set_up;
        return without_units(decided(false));
    }
    if (seen.has_anchor && seen.free >= wanted.least && wanted.least > 1)
        return gather_units(guard, wanted);
    if (seen.has_rival && (!seen.has_anchor || most_units(seen) >= wanted.least))
        return without_units(hangs_on(seen.rival));
    return seen.has_busy ? take_busy_stripe(guard, wanted, seen.busy) : without_units(look_again());
}

namespace {

int64 count_units(const installation &guard, const quota_id &id, bool also_being_changed) {
    stripe_keys keys = keys_of(id);
    SnapshotData dirty;
    index_scan scan = begin_dirty_quota_scan(guard, dirty, keys);
    int64 units = 0;
    while (next_row(scan)) {
        stripe_row found = read_stripe(guard, scan);
        bool is_there = !TransactionIdIsValid(dirty.xmin); // else a rival has made this version
        rival_transaction other;
        if (is_there && is_current(guard, found) &&
            (also_being_changed || !find_rival(scan, dirty, other)))
            units = add_units(units, found.remaining);
    }
    end_scan(scan);
    return units;
}

} // namespace

int64 count_stripe_units(const installation &guard, const quota_id &id) {
    return count_units(guard, id, true);
}

int64 count_units_at_hand(const installation &guard, const quota_id &id) {
    return count_units(guard, id, false);
}

bool has_units_at_hand(const installation &guard, const quota_id &id, int64 amount) {
    const last_stripe last = last_stripe_of(id);
    if (!is_same(last.id, id) || last.table != catalog_of(guard).quota_table)
        return false;
    Relation table = table_open(last.table, NoLock);
    TupleTableSlot *row = table_slot_create(table, nullptr);
    stripe_row found;
    bool has_enough = read_stripe_at(guard, table, last.tid, id, row, found) &&
                      found.remaining >= amount && is_current(guard, found);
    ExecDropSingleTupleTableSlot(row);
    table_close(table, NoLock);
    return has_enough;
}

bool has_too_few(const installation &guard, const request_for_units &asked) {
    Assert(asked.least > 0);
    want wanted = want_of(asked);
    wanted.most = 0;
    shortage reason;
    scan_all(guard, wanted, asked.moment, reason);
    return reason == shortage::proven;
}

} // namespace coupon_guard
