#include "coupon/own_changes.hpp"

namespace coupon_guard {
namespace {

struct command_of_transaction {
    LocalTransactionId transaction;
    CommandId command;
};

bool is_of(const command_of_transaction &noted, CommandId command) {
    return noted.transaction == transaction_number() && noted.command == command;
}

struct own_change {
    command_of_transaction by;
    SubTransactionId owner;
    limit_owner of;
    int64 id;
    bool is_of_several; // rows: which of them have been followed is not kept
    int64 pending;      // rows noted and not followed
};

own_change changed;
command_of_transaction last_changed;
command_of_transaction told;
// A change belongs to the subtransaction that makes it, then to its parent; or is rolled back.
void end_subtransaction(SubXactEvent event, SubTransactionId self, SubTransactionId parent,
                        void *) {
    if (changed.owner != self)
        return;
    if (event == SUBXACT_EVENT_COMMIT_SUB)
        changed.owner = parent;
    else if (event == SUBXACT_EVENT_ABORT_SUB && !changed.is_of_several)
        changed.pending = 0;
}

command_of_transaction counted;
HTAB *counted_limits; // of that command; goes with the transaction

struct limit_key {
    int64 owner_id;
    int64 kind; // no padding, for the key is hashed as it is
};

} // namespace

void note_own_truncation() {
    last_changed = {transaction_number(), GetCurrentCommandId(false)};
}

void note_own_change(limit_owner owner, int64 id) {
    last_changed = {transaction_number(), GetCurrentCommandId(false)};
    bool is_first = !has_changed_coupons() || changed.pending == 0;
    changed.by = {transaction_number(), GetCurrentCommandId(false)};
    changed.owner = GetCurrentSubTransactionId();
    changed.is_of_several =
        !is_first && (changed.is_of_several || changed.of != owner || changed.id != id);
    changed.of = owner;
    changed.id = id;
    changed.pending = is_first ? 1 : changed.pending + 1;
}

void note_own_change_followed() {
    if (has_changed_coupons() && changed.pending > 0)
        changed.pending--;
}

bool has_changed_coupons() {
    return changed.by.transaction == transaction_number();
}

bool has_changed_coupons_since(CommandId command) {
    return last_changed.transaction == transaction_number() && last_changed.command >= command;
}

bool is_own_change_pending(limit_owner owner, int64 id, CommandId &command) {
    command = changed.by.command;
    return has_changed_coupons() && changed.pending > 0 &&
           (changed.is_of_several || (changed.of == owner && changed.id == id));
}

bool claim_news_of(CommandId command) {
    if (is_of(told, command))
        return false;
    told = {transaction_number(), command};
    return true;
}

bool was_counted(int64 owner_id, char kind, CommandId command) {
    const limit_key key = {owner_id, kind};
    return is_of(counted, command) &&
           hash_search(counted_limits, &key, HASH_FIND, nullptr) != nullptr;
}

void note_counted(int64 owner_id, char kind, CommandId command) {
    const limit_key key = {owner_id, kind};
    if (!is_of(counted, command)) {
        HASHCTL control;
        memset(&control, 0, sizeof control);
        control.keysize = control.entrysize = sizeof key;
        control.hcxt = TopTransactionContext;
        if (counted.transaction == transaction_number())
            hash_destroy(counted_limits);
        counted.transaction = InvalidLocalTransactionId; // should the next line fail
        counted_limits = hash_create("limits counted for a command", 32, &control,
                                     HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
        counted = {transaction_number(), command};
    }
    hash_search(counted_limits, &key, HASH_ENTER, nullptr);
}

void register_own_change_callbacks() {
    RegisterSubXactCallback(end_subtransaction, nullptr);
}

} // namespace coupon_guard
