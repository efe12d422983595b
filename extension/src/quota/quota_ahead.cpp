#include "quota/quota_ahead.hpp"

#include "quota/quota_stripes.hpp"

namespace coupon_guard {
namespace {

constexpr int64 most_taken_at_once = 4096;
constexpr int none = -1;

// A quota may have another generation by the end of the transaction.
struct quota_key {
    quota_id id;
    int32 generation;
};

bool is_same(const quota_key &one, const quota_key &other) {
    return is_same(one.id, other.id) && one.generation == other.generation;
}

quota_key key_of(const installation &guard, const quota_id &id) {
    return {id, catalog_of(guard).generation};
}

// In whose name something is done. Triggers of the shop's on coupon_quota, which a return of units
// fires, run in the name of who has taken them: at the commit it would be the session's, and who
// has taken them may have been kept from just that (a function in an index that ANALYZE calls).
struct identity {
    Oid user;
    int security_context;
};

identity current_identity() {
    identity now;
    GetUserIdAndSecContext(&now.user, &now.security_context);
    return now;
}

bool is_same(const identity &one, const identity &other) {
    return one.user == other.user && one.security_context == other.security_context;
}

struct units_ahead {
    Oid function; // through which the tables are found again
    identity taker;
    quota_key quota;
    SubTransactionId owner;
    int64 last_taken;
    int64 spare;
    int64 borrowed; // of what the next outer entry of this quota had to spare
};

// One for each quota and subtransaction, those of inner subtransactions after those of outer ones.
units_ahead *entries; // in TopTransactionContext
int entry_count;
int entry_room;

// No more quotas are kept, for they are searched one by one.
constexpr int most_quotas = 32;

// The quota's entry of the innermost subtransaction that has one, of those before an entry.
int nearest_entry(const quota_key &quota, int before) {
    int at = before - 1;
    while (at >= 0 && !is_same(entries[at].quota, quota))
        at--;
    return at;
}

void make_room() {
    if (entry_count < entry_room)
        return;
    int room = Max(2 * entry_room, most_quotas);
    Size size = sizeof(units_ahead) * room;
    entries = static_cast<units_ahead *>(entries == nullptr
                                             ? MemoryContextAlloc(TopTransactionContext, size)
                                             : repalloc(entries, size));
    entry_room = room;
}

void forget_entries() {
    entries = nullptr; // its memory goes with the transaction
    entry_count = entry_room = 0;
}

// The entry of the subtransaction at hand; none if there are too many.
int own_entry(Oid function, const quota_key &quota) {
    SubTransactionId self = GetCurrentSubTransactionId();
    int nearest = nearest_entry(quota, entry_count);
    if (nearest != none && entries[nearest].owner == self) {
        entries[nearest].taker = current_identity();
        return nearest;
    }
    if (nearest == none && entry_count >= most_quotas)
        return none;
    Assert(entry_count == 0 || entries[entry_count - 1].owner <= self); // the innermost is the last
    make_room();
    int64 last_taken = nearest == none ? 0 : entries[nearest].last_taken;
    entries[entry_count] = {function, current_identity(), quota, self, last_taken, 0, 0};
    return entry_count++;
}

// What outer subtransactions have to spare becomes this one's, until it is rolled back.
void borrow_spare_units(int at) {
    int outer = nearest_entry(entries[at].quota, at);
    if (outer == none)
        return;
    borrow_spare_units(outer);
    entries[at].spare += entries[outer].spare;
    entries[at].borrowed += entries[outer].spare;
    entries[outer].spare = 0;
}

bool is_extension_there(Oid function) {
    return SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function));
}

bool is_generation_current(const installation &guard, int32 generation) {
    return lock_quotas(guard) && catalog_of(guard).generation == generation;
}

void return_entry(const units_ahead &entry) {
    const installation guard = open_guard(entry.function, RowExclusiveLock);
    if (is_generation_current(guard, entry.quota.generation))
        return_units(guard, entry.quota.id, entry.spare);
}

void return_entry_as_taker(const units_ahead &entry) {
    const identity now = current_identity();
    SetUserIdAndSecContext(entry.taker.user, entry.taker.security_context);
    int settings = NewGUCNestLevel(); // what triggers set does not outlive this, either
    return_entry(entry);
    AtEOXact_GUC(false, settings);
    SetUserIdAndSecContext(now.user, now.security_context);
}

void return_last_entry() {
    const units_ahead last = entries[--entry_count];
    if (last.spare == 0 || !is_extension_there(last.function))
        return;
    if (is_same(last.taker, current_identity()))
        return_entry(last);
    else
        return_entry_as_taker(last);
}

// The transaction has no snapshot any more at its end, and deferred triggers have been fired: those
// of the coupon_quota table, should there be any, want both.
void return_spare_units() {
    if (entry_count == 0)
        return;
    PushActiveSnapshot(GetTransactionSnapshot());
    while (entry_count > 0) {
        return_last_entry();
        if (entry_count == 0)
            AfterTriggerFireDeferred(); // and these may redeem
    }
    PopActiveSnapshot();
    forget_entries();
}

// Nothing is left, unless another extension's callback redeemed after ours.
void warn_of_lost_units() {
    for (int i = 0; i < entry_count; i++) {
        const quota_id &id = entries[i].quota.id;
        if (entries[i].spare > 0)
            ereport(WARNING,
                    (errmsg(INT64_FORMAT " units of %s " INT64_FORMAT " were not given back",
                            entries[i].spare, name_of(owner_of(id.kind)), id.owner_id),
                     errdetail("They were taken while the transaction was being committed."),
                     errhint("DELETE FROM coupon_quota WHERE owner_id = " INT64_FORMAT
                             " AND kind = '%c' has the units counted anew.",
                             id.owner_id, static_cast<char>(id.kind))));
    }
}

void end_transaction(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
        return_spare_units();
        break;
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_PREPARE:
        warn_of_lost_units();
        forget_entries();
        break;
    case XACT_EVENT_ABORT:
        forget_entries();
        break;
    default:
        break;
    }
}

// A subtransaction that commits hands what it has to its parent; one that is rolled back gives
// back what it has borrowed.
void end_subtransaction(SubXactEvent event, SubTransactionId self, SubTransactionId parent,
                        void *) {
    if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
        return;
    int kept = entry_count;
    while (kept > 0 && entries[kept - 1].owner == self)
        kept--;
    for (int i = kept; i < entry_count; i++) {
        units_ahead ended = entries[i];
        int outer = nearest_entry(ended.quota, kept);
        if (event == SUBXACT_EVENT_ABORT_SUB) {
            if (outer != none)
                entries[outer].spare += ended.borrowed;
        } else if (outer != none && entries[outer].owner == parent) {
            Assert(ended.spare >= 0);
            entries[outer].spare += ended.spare;
            entries[outer].last_taken = ended.last_taken;
            entries[outer].taker = ended.taker;
        } else {
            ended.owner = parent;
            entries[kept++] = ended;
        }
    }
    entry_count = kept;
}

} // namespace

bool use_units_ahead(const installation &guard, const quota_id &id, int64 amount) {
    if (units_to_spare(guard, id) < amount)
        return false;
    int own = own_entry(guard.function, key_of(guard, id));
    if (entries[own].spare < amount)
        borrow_spare_units(own);
    Assert(entries[own].spare >= amount);
    entries[own].spare -= amount;
    return true;
}

int64 units_to_spare(const installation &guard, const quota_id &id) {
    if (entry_count == 0)
        return 0;
    const quota_key quota = key_of(guard, id);
    int64 spare = 0;
    for (int i = 0; i < entry_count; i++)
        if (is_same(entries[i].quota, quota))
            spare += entries[i].spare;
    return spare;
}

int64 withdraw_units_ahead(const installation &guard, const quota_id &id) {
    int64 spare = units_to_spare(guard, id);
    if (spare == 0)
        return 0;
    int own = own_entry(guard.function, key_of(guard, id));
    borrow_spare_units(own);
    entries[own].spare = 0;
    return spare;
}

void withdraw_all_units_ahead(const installation &guard) {
    for (int i = entry_count - 1; i >= 0; i--)
        withdraw_units_ahead(guard, entries[i].quota.id);
}

int64 units_to_take(const installation &guard, const quota_id &id, int64 missing, int64 next) {
    int nearest = nearest_entry(key_of(guard, id), entry_count);
    if (nearest == none)
        return missing;
    int64 ahead = Max(2 * entries[nearest].last_taken, missing + next);
    return Max(Min(ahead, most_taken_at_once), missing);
}

void remember_units_taken(const installation &guard, const quota_id &id, int64 amount, int64 used) {
    Assert(amount > 0 && used >= 0 && amount + units_to_spare(guard, id) >= used);
    int own = own_entry(guard.function, key_of(guard, id));
    if (own == none) {
        if (amount > used)
            return_units(guard, id, amount - used);
        return;
    }
    if (used > amount)
        borrow_spare_units(own);
    entries[own].last_taken = Min(amount, most_taken_at_once);
    entries[own].spare += amount - used;
    Assert(entries[own].spare >= 0);
}

void keep_units_ahead(const installation &guard, const quota_id &id, int64 amount) {
    int own = own_entry(guard.function, key_of(guard, id));
    if (own != none)
        entries[own].spare += amount;
    else
        return_units(guard, id, amount);
}

void register_transaction_callbacks() {
    RegisterXactCallback(end_transaction, nullptr);
    RegisterSubXactCallback(end_subtransaction, nullptr);
}

} // namespace coupon_guard
