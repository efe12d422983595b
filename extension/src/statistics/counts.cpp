// Memory of fixed size: so many databases, each of which has its block. A backend looks for the
// block of its database once, and keeps it: a database has backends only as long as it exists, and
// its block is another's only after that. Whoever drops a database gives its block back when that
// is committed; what was dropped behind our back (on a standby, by replay) is found out when all
// blocks are taken.
//
// A block has its counters several times, and a backend raises those that its number says, so that
// a counter which every call raises is not one place in memory for all of them. They are raised one
// by one, without a lock: whoever reads may see a call and not yet its wait.

#include "statistics/counts.hpp"

#include "pg/shared_memory.hpp"

extern "C" {
#include "catalog/objectaccess.h"
#include "catalog/pg_database.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
}

namespace coupon_guard {

bool counts_calls;

namespace {

constexpr int copy_count = 8; // a power of two

struct outcome_counters {
    pg_atomic_uint64 calls;
    pg_atomic_uint64 spent[counter_count];
};

struct alignas(PG_CACHE_LINE_SIZE) counters {
    outcome_counters of[called_count][outcome_count];
};

struct alignas(PG_CACHE_LINE_SIZE) database_block {
    Oid database; // InvalidOid: nobody's. Under the lock
    pg_atomic_uint64 since;
    counters copies[copy_count];
};

struct alignas(PG_CACHE_LINE_SIZE) shared_blocks {
    LWLock lock;
    pg_atomic_uint32 given_back; // how many blocks have been
};

int most_databases = 8;

void *memory; // shared_blocks, and the blocks behind it; null: not preloaded
database_block *own;
counters *own_copy;
bool is_left_out;          // there was no block for this database
uint32 given_back_by_then; // when that was found
Oid dropped = InvalidOid;  // the database that this transaction drops

object_access_hook_type previous_hook = nullptr;

shared_blocks &blocks() {
    return *static_cast<shared_blocks *>(memory);
}

database_block *block(int number) {
    return reinterpret_cast<database_block *>(static_cast<shared_blocks *>(memory) + 1) + number;
}

Size size_of_blocks() {
    return add_size(sizeof(shared_blocks), mul_size(most_databases, sizeof(database_block)));
}

// ---- blocks -----------------------------------------------------------------------------------

void set_to_zero(database_block &counted) {
    pg_atomic_write_u64(&counted.since, static_cast<uint64>(GetCurrentTimestamp()));
    for (counters &copy : counted.copies)
        for (auto &function : copy.of)
            for (outcome_counters &outcome : function) {
                pg_atomic_write_u64(&outcome.calls, 0);
                for (pg_atomic_uint64 &each : outcome.spent)
                    pg_atomic_write_u64(&each, 0);
            }
}

void begin_block(database_block &begun) {
    begun.database = InvalidOid;
    pg_atomic_init_u64(&begun.since, 0);
    for (counters &copy : begun.copies)
        for (auto &function : copy.of)
            for (outcome_counters &outcome : function) {
                pg_atomic_init_u64(&outcome.calls, 0);
                for (pg_atomic_uint64 &each : outcome.spent)
                    pg_atomic_init_u64(&each, 0);
            }
}

void begin_blocks(void *begun) {
    memory = begun;
    LWLockInitialize(&blocks().lock, LWLockNewTrancheId());
    pg_atomic_init_u32(&blocks().given_back, 0);
    for (int i = 0; i < most_databases; i++)
        begin_block(*block(i));
}

database_block *find_block(Oid database) {
    for (int i = 0; i < most_databases; i++)
        if (block(i)->database == database)
            return block(i);
    return nullptr;
}

// The block of the database at hand, which takes one that is nobody's, if there is one.
database_block *find_or_take_block() {
    LWLockAcquire(&blocks().lock, LW_EXCLUSIVE);
    database_block *found = find_block(MyDatabaseId);
    if (found == nullptr) {
        found = find_block(InvalidOid);
        if (found != nullptr) {
            set_to_zero(*found);
            found->database = MyDatabaseId;
        }
    }
    LWLockRelease(&blocks().lock);
    return found;
}

void give_back_block(Oid database) {
    LWLockAcquire(&blocks().lock, LW_EXCLUSIVE);
    database_block *found = find_block(database);
    if (found != nullptr) {
        found->database = InvalidOid;
        pg_atomic_fetch_add_u32(&blocks().given_back, 1);
    }
    LWLockRelease(&blocks().lock);
}

// No lock of ours is held while the catalog is read. A database that is made meanwhile with the
// number of one that is gone loses no more than its first counts.
bool give_back_blocks_of_dropped() {
    bool has_any = false;
    for (int i = 0; i < most_databases; i++) {
        LWLockAcquire(&blocks().lock, LW_SHARED);
        const Oid database = block(i)->database;
        LWLockRelease(&blocks().lock);
        if (!OidIsValid(database) || SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
            continue;
        give_back_block(database);
        has_any = true;
    }
    return has_any;
}

// A backend that has found no block looks again only when one has been given back.
bool find_own_block() {
    if (memory == nullptr || !OidIsValid(MyDatabaseId))
        return false;
    const uint32 given_back = pg_atomic_read_u32(&blocks().given_back);
    if (is_left_out && given_back == given_back_by_then)
        return false;
    LWLockRegisterTranche(blocks().lock.tranche, "coupon_guard_statistics");
    own = find_or_take_block();
    if (own == nullptr && give_back_blocks_of_dropped())
        own = find_or_take_block();
    is_left_out = own == nullptr;
    given_back_by_then = given_back;
    if (own != nullptr)
        own_copy = &own->copies[backend_number() & (copy_count - 1)];
    return own != nullptr;
}

// ---- databases that are dropped ---------------------------------------------------------------

void note_access(ObjectAccessType access, Oid catalog, Oid object, int part, void *argument) {
    if (previous_hook != nullptr)
        previous_hook(access, catalog, object, part, argument);
    if (access == OAT_DROP && catalog == DatabaseRelationId)
        dropped = object;
}

void end_transaction(XactEvent event, void *) {
    if (!OidIsValid(dropped) || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
        return;
    if (event == XACT_EVENT_COMMIT)
        give_back_block(dropped);
    dropped = InvalidOid;
}

constexpr shared_area area_of_blocks = {"coupon_guard statistics", size_of_blocks, begin_blocks,
                                        &memory};

} // namespace

bool has_counts() {
    return own != nullptr || find_own_block();
}

void add_to_counts(called function, int outcome, const tally &spent) {
    outcome_counters &counted = own_copy->of[static_cast<int>(function)][outcome];
    pg_atomic_fetch_add_u64(&counted.calls, 1);
    for (uint32 left = spent.raised; left != 0; left &= left - 1) {
        int i = pg_rightmost_one_pos32(left);
        pg_atomic_fetch_add_u64(&counted.spent[i], static_cast<int64>(spent.of[i]));
    }
}

call_counts read_counts(called function, int outcome) {
    call_counts sum = {};
    for (counters &copy : own->copies) {
        outcome_counters &counted = copy.of[static_cast<int>(function)][outcome];
        sum.calls += pg_atomic_read_u64(&counted.calls);
        for (int i = 0; i < counter_count; i++)
            sum.spent.of[i] += pg_atomic_read_u64(&counted.spent[i]);
    }
    return sum;
}

TimestampTz counted_since() {
    return static_cast<TimestampTz>(pg_atomic_read_u64(&own->since));
}

void reset_counts() {
    set_to_zero(*own);
}

void check_counts() {
    if (memory == nullptr)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("coupon_guard counts no calls because it is not preloaded"),
                 errhint("Add it to \"shared_preload_libraries\", and restart the server.")));
    if (!has_counts())
        ereport(ERROR,
                (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                 errmsg("coupon_guard does not count the calls in this database"),
                 errdetail("It counts those of %d databases, and there are others already.",
                           most_databases),
                 errhint("Raise \"coupon_guard.statistics_databases\", and restart the server.")));
}

void register_counts() {
    if (!process_shared_preload_libraries_in_progress)
        return; // neither could the setting be made later
    counts_calls = true;
    DefineCustomIntVariable("coupon_guard.statistics_databases",
                            "The most databases whose calls are counted (coupon_guard_stats).",
                            "Shared memory is set aside for so many if the library is preloaded.",
                            &most_databases, 8, 0, 1024, PGC_POSTMASTER, 0, nullptr, nullptr,
                            nullptr);
    register_shared_area(area_of_blocks);
    previous_hook = object_access_hook;
    object_access_hook = note_access;
    RegisterXactCallback(end_transaction, nullptr);
}

} // namespace coupon_guard
