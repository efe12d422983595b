#include "followed_rows.hpp"

namespace coupon_guard {
namespace {

struct command_of_transaction {
    LocalTransactionId transaction;
    CommandId command;
};

bool is_of(const command_of_transaction &noted, CommandId command) {
    return noted.transaction == transaction_number() && noted.command == command;
}

command_of_transaction told;
command_of_transaction counted;
HTAB *counted_coupons; // of that command; goes with the transaction

} // namespace

bool is_first_news_of(CommandId command) {
    if (is_of(told, command))
        return false;
    told = {transaction_number(), command};
    return true;
}

bool was_counted(int64 coupon_id, CommandId command) {
    return is_of(counted, command) &&
           hash_search(counted_coupons, &coupon_id, HASH_FIND, nullptr) != nullptr;
}

void note_counted(int64 coupon_id, CommandId command) {
    if (!is_of(counted, command)) {
        HASHCTL control;
        memset(&control, 0, sizeof control);
        control.keysize = control.entrysize = sizeof coupon_id;
        control.hcxt = TopTransactionContext;
        if (counted.transaction == transaction_number())
            hash_destroy(counted_coupons);
        counted.transaction = InvalidLocalTransactionId; // should the next line fail
        counted_coupons = hash_create("coupons counted for a command", 32, &control,
                                      HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
        counted = {transaction_number(), command};
    }
    hash_search(counted_coupons, &coupon_id, HASH_ENTER, nullptr);
}

} // namespace coupon_guard
