// What is counted where, and under which locks; how, and why nobody is forgotten: throttle_set.hpp.
//
// Whose buckets
//
// An attempt is one of its user's (the id as the ledger has it), of its client's (setting
// coupon_guard.client, which the application sets) and of its database's, each within the database.
// All of those that have a rate must have an attempt left. It is taken out of all of them, or of
// none: first the later ones are looked at, then the first one is taken from, then the others. If
// a rival takes the last one of a later bucket in between, the earlier ones have counted an attempt
// that was refused; nothing else comes of it.
//
// Locks
//
// A spinlock for each set, one at a time, and nothing but a few lines of arithmetic under it. The
// clock is read before: that one is a moment older than what another process has just written
// changes an answer by that moment.
//
// Who knows a key's hash knows which other keys share its set. So it has a secret, which is drawn
// when the server starts and is nowhere to be read.

#include "throttle/throttle.hpp"

#include "core/throttle_set.hpp"
#include "pg/monotonic_clock.hpp"
#include "pg/shared_memory.hpp"

extern "C" {
#include "common/hashfn.h"
#include "storage/spin.h"
}

namespace coupon_guard {

double throttle_rates[throttle_kinds] = {0, 0, 0};

namespace {

// ---- settings ---------------------------------------------------------------------------------

int bursts[throttle_kinds] = {10, 30, 1000};
int entry_count = 32768; // of users, and as many of clients
char *client;

constexpr int fewest_entries = 64;
constexpr int most_entries = 16 * 1024 * 1024;
constexpr int max_client_bytes = 255;

// ---- memory -----------------------------------------------------------------------------------

struct shared_set {
    slock_t lock;
    throttle_set buckets;
};

// Of databases a server has few.
constexpr uint32 database_sets = 16;

struct throttle_memory {
    uint64 secret;
    uint32 set_count; // of users, and of clients
    shared_set of_databases[database_sets];
    shared_set sets[FLEXIBLE_ARRAY_MEMBER]; // of users, then of clients
};

throttle_memory *throttle;

// The sets are a power of two, that a hash finds its own with a mask.
uint32 count_sets() {
    uint32 count = 1;
    while (count * throttle_ways < static_cast<uint32>(entry_count))
        count *= 2;
    return count;
}

Size size_of_throttle() {
    return add_size(offsetof(throttle_memory, sets),
                    mul_size(sizeof(shared_set), mul_size(2, count_sets())));
}

void begin_set(shared_set &set) {
    SpinLockInit(&set.lock);
    memset(&set.buckets, 0, sizeof set.buckets);
}

void begin_throttle(void *memory) {
    auto begun = static_cast<throttle_memory *>(memory);
    if (!pg_strong_random(&begun->secret, sizeof begun->secret))
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                        errmsg("could not generate the secret of coupon_guard's throttle")));
    begun->set_count = count_sets();
    for (shared_set &set : begun->of_databases)
        begin_set(set);
    for (uint32 i = 0; i < 2 * begun->set_count; i++)
        begin_set(begun->sets[i]);
}

const shared_area area = {"coupon_guard throttle", size_of_throttle, begin_throttle,
                          reinterpret_cast<void **>(&throttle)};

// ---- buckets ----------------------------------------------------------------------------------

struct bucket {
    shared_set *set;
    uint64 key;
    attempt_limit limit;
};

// What the settings of a kind come to, until they change.
struct kind_limit {
    double rate;
    int burst;
    attempt_limit limit;
    uint64 seed;
    bucket last; // of a client, of the database
    bool has_last;
};
kind_limit limits[throttle_kinds];

// The kind, the database and the limit are part of a key's hash (throttle_set.hpp says why the
// limit is).
uint64 seed_of(throttled_by kind, const attempt_limit &limit) {
    const uint64 of_limit =
        hash_combine64(static_cast<uint64>(limit.interval),
                       static_cast<uint64>(limit.burst) << 2 | static_cast<uint64>(kind));
    return hash_combine64(throttle->secret ^ MyDatabaseId, of_limit);
}

kind_limit &limit_of_kind(throttled_by kind) {
    const int at = static_cast<int>(kind);
    kind_limit &known = limits[at];
    if (known.rate != throttle_rates[at] || known.burst != bursts[at]) {
        known = {};
        known.rate = throttle_rates[at];
        known.burst = bursts[at];
        known.limit = limit_of(known.rate, known.burst);
        known.seed = seed_of(kind, known.limit);
    }
    return known;
}

uint64 hash_key(std::string_view name, uint64 seed) {
    const uint64 hash = hash_bytes_extended(reinterpret_cast<const unsigned char *>(name.data()),
                                            static_cast<int>(name.size()), seed);
    return hash == 0 ? 1 : hash;
}

shared_set *find_set(throttled_by kind, uint64 key) {
    if (kind == throttled_by::database)
        return &throttle->of_databases[key & (database_sets - 1)];
    const uint32 first = kind == throttled_by::client ? throttle->set_count : 0;
    return &throttle->sets[first + (key & (throttle->set_count - 1))];
}

bucket find_bucket(throttled_by kind, std::string_view name) {
    const kind_limit &known = limit_of_kind(kind);
    const uint64 key = hash_key(name, known.seed);
    return {find_set(kind, key), key, known.limit};
}

// Of a kind of which a backend has the same one for a while.
const bucket &find_same_bucket(throttled_by kind, const char *name) {
    kind_limit &known = limit_of_kind(kind);
    if (!known.has_last) {
        known.last = find_bucket(kind, name);
        known.has_last = true;
    }
    return known.last;
}

bool is_on(throttled_by kind) {
    return throttle_rates[static_cast<int>(kind)] > 0;
}

int find_buckets(std::string_view user, bucket *found) {
    int count = 0;
    if (is_on(throttled_by::user))
        found[count++] = find_bucket(throttled_by::user, user);
    if (is_on(throttled_by::client) && client != nullptr && client[0] != '\0')
        found[count++] = find_same_bucket(throttled_by::client, client);
    if (is_on(throttled_by::database))
        found[count++] = find_same_bucket(throttled_by::database, "");
    return count;
}

int64 look_at(const bucket &looked_at, int64 now) {
    SpinLockAcquire(&looked_at.set->lock);
    int64 wait = wait_for_attempt(looked_at.set->buckets, looked_at.key, looked_at.limit, now);
    SpinLockRelease(&looked_at.set->lock);
    return wait;
}

int64 take_from(const bucket &taken_from, int64 now) {
    SpinLockAcquire(&taken_from.set->lock);
    int64 wait = take_attempt(taken_from.set->buckets, taken_from.key, taken_from.limit, now);
    SpinLockRelease(&taken_from.set->lock);
    return wait;
}

// Of all that refuse, how long the longest does.
int64 take_attempt_of(const bucket *buckets, int count, int64 now) {
    int64 wait = 0;
    for (int i = 1; i < count; i++)
        wait = Max(wait, look_at(buckets[i], now));
    if (wait > 0)
        return Max(wait, look_at(buckets[0], now));
    for (int i = 0; i < count && wait == 0; i++)
        wait = take_from(buckets[i], now);
    return wait;
}

// ---- what may be set --------------------------------------------------------------------------

bool check_client(char **value, void **, GucSource) {
    if (*value == nullptr || strlen(*value) <= max_client_bytes)
        return true;
    GUC_check_errdetail("It has %zu bytes; the limit is %d.", strlen(*value), max_client_bytes);
    return false;
}

void assign_client(const char *, void *) {
    limits[static_cast<int>(throttled_by::client)].has_last = false;
}

// Who sets a rate by hand is told if it does nothing. It stands in a file for good reason, perhaps:
// of a server that will be restarted.
bool check_rate(double *value, void **, GucSource source) {
    bool is_by_hand = source == PGC_S_TEST || source == PGC_S_SESSION;
    bool is_preloaded = throttle != nullptr || process_shared_preload_libraries_in_progress;
    if (*value > 0 && is_by_hand && !is_preloaded)
        ereport(WARNING, (errmsg("without preloading, coupon_guard throttles nothing"),
                          errhint("Add coupon_guard to shared_preload_libraries, and restart.")));
    return true;
}

void define_kind(throttled_by kind, const char *rate, const char *rate_says, const char *burst,
                 const char *burst_says) {
    const int at = static_cast<int>(kind);
    DefineCustomRealVariable(rate, rate_says, "0: any number.", &throttle_rates[at], 0, 0,
                             max_attempts_a_minute, PGC_SUSET, 0, check_rate, nullptr, nullptr);
    DefineCustomIntVariable(burst, burst_says, nullptr, &bursts[at], bursts[at], 1, max_burst,
                            PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

void define_settings() {
    define_kind(throttled_by::user, "coupon_guard.throttle_user_rate",
                "Attempts at codes that a user may make in a minute.",
                "coupon_guard.throttle_user_burst",
                "Attempts at codes that a user may make at once.");
    define_kind(throttled_by::client, "coupon_guard.throttle_client_rate",
                "Attempts at codes that a client (coupon_guard.client) may make in a minute.",
                "coupon_guard.throttle_client_burst",
                "Attempts at codes that a client (coupon_guard.client) may make at once.");
    define_kind(throttled_by::database, "coupon_guard.throttle_database_rate",
                "Attempts at codes that may be made in a minute by all users of a database.",
                "coupon_guard.throttle_database_burst",
                "Attempts at codes that may be made at once by all users of a database.");
    DefineCustomStringVariable(
        "coupon_guard.client", "Who makes the attempts of this transaction: an address, say.",
        "The application sets it; its attempts are throttled together. Empty: nobody's.", &client,
        "", PGC_USERSET, 0, check_client, assign_client, nullptr);
    if (process_shared_preload_libraries_in_progress)
        DefineCustomIntVariable("coupon_guard.throttle_entries",
                                "Users, and clients, whose attempts are counted apart.",
                                "Rounded up to a power of two; each takes 17 bytes of shared "
                                "memory as a user, and as a client.",
                                &entry_count, entry_count, fewest_entries, most_entries,
                                PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
}

} // namespace

void register_throttle() {
    define_settings();
    register_shared_area(area);
}

bool is_throttled(std::string_view user, TimestampTz &retry_at) {
    if (throttle == nullptr)
        return false;
    bucket buckets[throttle_kinds];
    const int count = find_buckets(user, buckets);
    if (count == 0)
        return false;
    const int64 wait = take_attempt_of(buckets, count, monotonic_now());
    if (wait == 0)
        return false;
    retry_at = GetCurrentTimestamp() + wait;
    return true;
}

} // namespace coupon_guard
