#include "quota_ahead.hpp"

#include "quota.hpp"

namespace coupon_guard {
namespace {

constexpr int64 most_taken_at_once = 4096;

struct units_ahead {
    Oid function; // through which the tables are found again
    int64 coupon_id;
    SubTransactionId owner;
    int64 last_taken;
    int64 spare;
};

// One for each coupon and subtransaction; forgotten, not grown, when there are more.
constexpr int most_entries = 32;
units_ahead entries[most_entries];
int entry_count;

units_ahead *find_entry(int64 coupon_id) {
    SubTransactionId self = GetCurrentSubTransactionId();
    for (int i = 0; i < entry_count; i++)
        if (entries[i].coupon_id == coupon_id && entries[i].owner == self)
            return &entries[i];
    return nullptr;
}

units_ahead *find_or_add_entry(const schema &objects, int64 coupon_id) {
    units_ahead *found = find_entry(coupon_id);
    if (found != nullptr || entry_count == most_entries)
        return found;
    entries[entry_count] = {objects.function, coupon_id, GetCurrentSubTransactionId(), 0, 0};
    return &entries[entry_count++];
}

void return_spare_units() {
    while (entry_count > 0) {
        units_ahead last = entries[--entry_count];
        if (last.spare > 0)
            return_units(lock_schema(last.function, RowExclusiveLock), last.coupon_id, last.spare);
    }
}

void end_transaction(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
        return_spare_units();
        break;
    case XACT_EVENT_ABORT:
        entry_count = 0;
        break;
    default:
        break;
    }
}

// A subtransaction that commits hands what it minds to its parent.
void end_subtransaction(SubXactEvent event, SubTransactionId self, SubTransactionId parent,
                        void *) {
    if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
        return;
    int kept = 0;
    for (int i = 0; i < entry_count; i++) {
        if (entries[i].owner == self) {
            if (event == SUBXACT_EVENT_ABORT_SUB)
                continue;
            entries[i].owner = parent;
        }
        entries[kept++] = entries[i];
    }
    entry_count = kept;
}

} // namespace

bool use_unit_ahead(int64 coupon_id) {
    units_ahead *found = find_entry(coupon_id);
    if (found == nullptr || found->spare == 0)
        return false;
    found->spare--;
    return true;
}

int64 units_to_take(int64 coupon_id) {
    const units_ahead *found = find_entry(coupon_id);
    return found == nullptr ? 1 : Min(Max(2 * found->last_taken, 1), most_taken_at_once);
}

void remember_units_taken(const schema &objects, int64 coupon_id, int64 spare) {
    units_ahead *entry = find_or_add_entry(objects, coupon_id);
    if (entry == nullptr) {
        if (spare > 0)
            return_units(objects, coupon_id, spare);
        return;
    }
    entry->last_taken = spare + 1;
    entry->spare += spare;
}

void keep_unused_unit(const schema &objects, int64 coupon_id) {
    units_ahead *entry = find_or_add_entry(objects, coupon_id);
    if (entry != nullptr)
        entry->spare++;
    else
        return_units(objects, coupon_id, 1);
}

void watch_transactions() {
    RegisterXactCallback(end_transaction, nullptr);
    RegisterSubXactCallback(end_subtransaction, nullptr);
}

} // namespace coupon_guard
