// Why a cached coupon is never out of date.
//
// A backend keeps a coupon only if its row was settled when read: created by a committed
// transaction and with nobody updating or deleting it. Whoever changes a coupon's row
//   (1) marks the old version in the table,
//   (2) then sends a message of it, at the end of the statement (a trigger does, row by row, so
//   also
//       for changes that come through a parent table or by replication),
//   (3) and only then can commit.
// Every look at the cache first takes in all messages sent before it. So if a change had been
// committed before, the message had been sent, and what was kept has been dropped.
//
// Could a coupon be kept after its message has been taken in? It was read before (1), or it had not
// been settled; so the message was sent after the reading. If it was taken in between the reading
// and the keeping, the count of changes has moved, and the coupon is not kept.
//
// All this holds of campaigns, too, whose changes are told in the same way, as changes of coupons.
//
// This is stricter than the invalidation that comes with a commit: that is sent after the commit
// has become visible, so leaves a moment in which others see the change and a cache does not know.
//
// The transaction that makes the change sees it from (1) on, so may not look at the cache between
// (1) and (2): before (1) a trigger says so, and the transaction does without the cache until it
// ends.
//
// Nothing is kept or used
//   - under SERIALIZABLE: there each reading must leave its trace;
//   - on a standby, which gets no messages;
//   - where the triggers are not in force.
//
// New coupons need no message: that a code does not exist is never kept. Nor does a change of one
// that is not kept, because few ask for it (is_personal()): of any version before, which may have
// been kept, the message was sent when that was changed. So a claim, which gives a code a holder,
// leaves all caches alone.

#include "coupon/coupon_cache.hpp"

#include "catalog/invalidation.hpp"
#include "coupon/own_changes.hpp"

extern "C" {
#include "common/hashfn.h"
}

namespace coupon_guard {
namespace {

constexpr int slot_count = 2048;        // a power of two
constexpr int campaign_slot_count = 64; // likewise
constexpr Size max_cached_terms = 1024;

struct cached_coupon {
    coupon_row coupon; // terms in cache_memory
    int key_length;
};

// The key stands behind.
char *key_of(cached_coupon *kept) {
    return reinterpret_cast<char *>(kept + 1);
}

MemoryContext cache_memory;    // all of the cache
cached_coupon **slots;         // by hash of the key; one slot, one coupon or none
campaign_row **campaign_slots; // by id, likewise
uint64 cached_changes;         // what was noted when the slots were last emptied
Oid cached_table;

cached_coupon *&slot_of(const code_key &key) {
    uint32 hash = hash_bytes(reinterpret_cast<const unsigned char *>(key.bytes), key.length);
    return slots[hash & (slot_count - 1)];
}

campaign_row *&slot_of(int64 campaign_id) {
    return campaign_slots[static_cast<uint64>(campaign_id) & (campaign_slot_count - 1)];
}

void empty_cache(Oid table) {
    if (cache_memory == nullptr)
        cache_memory =
            AllocSetContextCreate(TopMemoryContext, "coupon_guard coupons", ALLOCSET_DEFAULT_SIZES);
    slots = nullptr;
    MemoryContextReset(cache_memory);
    // NOLINTBEGIN(bugprone-sizeof-expression): arrays of pointers
    slots = static_cast<cached_coupon **>(
        MemoryContextAllocZero(cache_memory, slot_count * sizeof(cached_coupon *) +
                                                 campaign_slot_count * sizeof(campaign_row *)));
    // NOLINTEND(bugprone-sizeof-expression)
    campaign_slots = reinterpret_cast<campaign_row **>(slots + slot_count);
    cached_changes = coupon_changes();
    cached_table = table;
}

Datum copy_terms(const limited_row &row, MemoryContext where) {
    MemoryContext caller = MemoryContextSwitchTo(where);
    Datum copy = datumCopy(row.terms, false, -1);
    MemoryContextSwitchTo(caller);
    return copy;
}

void drop(cached_coupon *&slot) {
    cached_coupon *kept = slot;
    slot = nullptr;
    if (kept == nullptr)
        return;
    if (kept->coupon.has_terms)
        pfree(DatumGetPointer(kept->coupon.terms));
    pfree(kept);
}

bool is_usable(const catalog &tables) {
    return tables.follows_changes && !IsolationIsSerializable() && !has_changed_coupons() &&
           !RecoveryInProgress();
}

// Whether what is cached is certainly as it is in the tables.
bool is_current(const installation &guard) {
    AcceptInvalidationMessages();
    const catalog &tables = catalog_of(guard);
    return slots != nullptr && cached_changes == coupon_changes() &&
           cached_table == tables.coupon_table && is_usable(tables);
}

// Whether a row that was read when so many changes had been noted can be kept.
bool may_keep(const installation &guard, const limited_row &row, uint64 changes) {
    const catalog &tables = catalog_of(guard);
    if (!is_usable(tables) ||
        (row.has_terms && VARSIZE_ANY(DatumGetPointer(row.terms)) > max_cached_terms))
        return false;
    if (slots == nullptr || cached_changes != coupon_changes() ||
        cached_table != tables.coupon_table)
        empty_cache(tables.coupon_table);
    return changes == cached_changes;
}

} // namespace

bool find_cached_coupon(const installation &guard, const code_key &key, coupon_row &found) {
    if (!is_current(guard))
        return false;
    cached_coupon *kept = slot_of(key);
    if (kept == nullptr || kept->key_length != key.length ||
        memcmp(key_of(kept), key.bytes, key.length) != 0)
        return false;
    tally_up(counter::cache_hits);
    found = kept->coupon;
    if (found.has_terms) // the cache may be emptied while the caller still needs them
        found.terms = copy_terms(found, CurrentMemoryContext);
    return true;
}

// What is read during recovery is not kept, though the server be promoted before it comes to that:
// of what changed in between there was no message.
uint64 changes_before_reading() {
    return RecoveryInProgress() ? PG_UINT64_MAX : coupon_changes();
}

void cache_coupon(const installation &guard, const code_key &key, const coupon_row &coupon,
                  uint64 changes) {
    if (!may_keep(guard, coupon, changes))
        return;
    cached_coupon *&slot = slot_of(key);
    drop(slot);
    Size size = sizeof(cached_coupon) + key.length;
    cached_coupon *kept = static_cast<cached_coupon *>(MemoryContextAllocZero(cache_memory, size));
    kept->key_length = key.length;
    memcpy(key_of(kept), key.bytes, key.length);
    kept->coupon = coupon;
    if (coupon.has_terms)
        kept->coupon.terms = copy_terms(coupon, cache_memory);
    slot = kept; // only now: an error on the way leaves an empty slot
}

bool find_cached_campaign(const installation &guard, int64 id, campaign_row &found) {
    if (!is_current(guard))
        return false;
    const campaign_row *kept = slot_of(id);
    if (kept == nullptr || kept->id != id)
        return false;
    tally_up(counter::cache_hits);
    found = *kept;
    if (found.has_terms)
        found.terms = copy_terms(found, CurrentMemoryContext);
    return true;
}

void cache_campaign(const installation &guard, const campaign_row &campaign, uint64 changes) {
    if (!may_keep(guard, campaign, changes))
        return;
    campaign_row *&slot = slot_of(campaign.id);
    campaign_row *old = slot;
    slot = nullptr;
    if (old != nullptr && old->has_terms)
        pfree(DatumGetPointer(old->terms));
    campaign_row *kept =
        old != nullptr
            ? old
            : static_cast<campaign_row *>(MemoryContextAlloc(cache_memory, sizeof(campaign_row)));
    *kept = campaign;
    if (campaign.has_terms)
        kept->terms = copy_terms(campaign, cache_memory);
    slot = kept; // only now: an error on the way leaves an empty slot
}

} // namespace coupon_guard
