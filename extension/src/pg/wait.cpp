// How a wait is shown as ours
//
// The lock manager reports each of its waits itself, as of a transaction, a relation or a tuple,
// over whatever has been reported before. So while a wait of ours runs, the server reports to a
// variable that nobody reads, and what pg_stat_activity reads has our event. Nothing but
// pg_stat_activity goes by it: pg_locks, pg_blocking_pids(), log_lock_waits and the deadlock
// detector look at the locks themselves.
//
// An error that ends the wait must put that right at once, for the abort, and whoever is told of
// the error, may wait again: hence PG_TRY. Where the process ends instead (terminated), nothing
// comes back here; then the server goes on reporting to the variable, which is static, until
// ProcKill() takes the report away from us; whoever gets our place in shared memory clears it.

#include "pg/wait.hpp"

#include "pg/monotonic_clock.hpp"
#include "pg/shared_memory.hpp"

namespace coupon_guard {

tally tallied;

namespace {

// In shared memory, for a name gets another number with each start of the server. Null: not
// preloaded; then waits are the server's own.
struct wait_events {
    uint32 of[awaited_count];
};
void *events;

constexpr const char *event_names[awaited_count] = {"CouponGuardRival", "CouponGuardStripe",
                                                    "CouponGuardLock"};

Size size_of_events() {
    return sizeof(wait_events);
}

void begin_events(void *begun) {
    for (int i = 0; i < awaited_count; i++)
        static_cast<wait_events *>(begun)->of[i] = wait_event_named(event_names[i]);
}

constexpr shared_area area_of_events = {"coupon_guard wait events", size_of_events, begin_events,
                                        &events};

counter waits_for(awaited what) {
    return static_cast<counter>(static_cast<int>(counter::rival_waits) + static_cast<int>(what));
}

counter time_for(awaited what) {
    return static_cast<counter>(static_cast<int>(counter::rival_wait_time) +
                                static_cast<int>(what));
}

} // namespace

void run_wait(awaited what, void (*wait)(void *context), void *context) {
    tally_up(waits_for(what));
    if (events == nullptr) {
        wait(context);
        return;
    }
    static uint32 not_shown;
    uint32 *const shown = my_wait_event_info;
    Assert(shown != &not_shown);
    const int64 began = monotonic_now();
    pgstat_report_wait_start(static_cast<wait_events *>(events)->of[static_cast<int>(what)]);
    pgstat_set_wait_event_storage(&not_shown);
    PG_TRY();
    { wait(context); }
    PG_FINALLY();
    {
        pgstat_set_wait_event_storage(shown);
        pgstat_report_wait_end();
        tally_up(time_for(what), static_cast<uint64>(monotonic_now() - began));
    }
    PG_END_TRY();
}

void wait_for_relation(Oid relation, LOCKMODE mode) {
    while_waiting(awaited::lock, [=] { LockRelationOid(relation, mode); });
}

void lock_object(Oid catalog, Oid object, LOCKMODE mode) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, catalog, object, 0);
    if (LockAcquire(&tag, mode, false, true) == LOCKACQUIRE_NOT_AVAIL)
        while_waiting(awaited::lock, [&] { LockAcquire(&tag, mode, false, false); });
    AcceptInvalidationMessages();
}

void register_wait_events() {
    register_shared_area(area_of_events);
}

} // namespace coupon_guard
