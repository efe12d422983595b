// The ledger: what a user has redeemed of a coupon, and one redemption more.
#pragma once

#include "coupon.hpp"
#include "pg/schema.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {

inline constexpr std::size_t max_user_id_bytes = 255;
using user_id = text_value<max_user_id_bytes>;

struct redemption {
    int64 id;
    int32 use_no;
    TimestampTz redeemed_at;
};

// A transaction still open on which the answer hangs.
struct rival {
    TransactionId transaction;
    uint32 speculative_token; // 0 if it has finished writing its row
    ItemPointerData row;
};

enum class allowance : unsigned char {
    free,      // the user may redeem, as use number free_use_no
    used_up,   // latest is the user's latest redemption
    undecided, // it depends on how rival ends
};

struct usage {
    allowance verdict;
    int32 free_use_no;
    redemption latest;
    struct rival rival;
};
static_assert(std::is_trivially_destructible_v<usage>);

// What the ledger says of this user and coupon, transactions in progress included. Reads only.
usage read_usage(const schema &objects, const coupon &offer, const user_id &user);

// Waits for the rival's end: its transaction's, or if it is still writing, its decision.
// Errors: lock_timeout, statement_timeout, deadlock, cancel.
void wait_for_rival(const schema &objects, const rival &rival);

struct new_redemption {
    int64 coupon_id;
    const user_id *user;
    int32 use_no;
    TimestampTz moment;
    Datum metadata; // jsonb
    bool has_metadata;
};

// Writes the redemption and makes it visible to the caller's next statement. False, with nothing
// written, if a rival has taken the use number since read_usage().
bool append_redemption(const schema &objects, const new_redemption &wanted, redemption &written);

// Whether the ledger holds any redemption (of the coupon) in the newest committed state.
bool has_redemptions(const schema &objects, int64 coupon_id);
bool has_redemptions(const schema &objects);

} // namespace coupon_guard
