// Waiting for others: every wait of ours that can be seen coming goes through here, is tallied, and
// is shown by pg_stat_activity.
#pragma once

#include "pg/tally.hpp"

namespace coupon_guard {

// What is waited for: in the order of the counters and of the wait events.
enum class awaited : unsigned char { rival, stripe, lock };
inline constexpr int awaited_count = 3;

// Runs wait(context), which waits for what it says. If the library is preloaded: how long that
// takes is tallied, and while it does pg_stat_activity shows an event of ours where it would show
// the server's lock. Not to be nested. Errors: those of wait.
void run_wait(awaited what, void (*wait)(void *context), void *context);

template <typename Wait>
void while_waiting(awaited what, Wait &&wait) {
    run_wait(
        what, [](void *context) { (*static_cast<std::remove_reference_t<Wait> *>(context))(); },
        &wait);
}

// LockRelationOid(), which asks first whether there is a need to wait.
void wait_for_relation(Oid relation, LOCKMODE mode);
inline void lock_relation(Oid relation, LOCKMODE mode) {
    if (!ConditionalLockRelationOid(relation, mode))
        wait_for_relation(relation, mode);
}

// LockDatabaseObject(), likewise.
void lock_object(Oid catalog, Oid object, LOCKMODE mode);

// index_open(), likewise.
inline Relation lock_and_open_index(Oid index, LOCKMODE mode) {
    lock_relation(index, mode);
    return index_open(index, NoLock);
}

// Asks for the shared memory in which the wait events' numbers are; called once, when the library
// is loaded.
void register_wait_events();

} // namespace coupon_guard
