// One redemption, from the request to the answer.
#pragma once

#include "coupon.hpp"
#include "ledger.hpp"
#include "status.hpp"

namespace coupon_guard {

struct redeem_request {
    Oid function; // the SQL function called: its schema is the extension's
    user_id user;
    code_key key;
    Datum metadata; // jsonb
    bool has_metadata;
};

struct redeem_answer {
    enum status status;
    bool has_offer; // false if not_found
    coupon offer;
    bool has_redemption; // if redeemed or already_redeemed
    redemption made;
};
static_assert(std::is_trivially_destructible_v<redeem_request> &&
              std::is_trivially_destructible_v<redeem_answer>);

// Redeems the coupon for the user, in the transaction at hand, and says where the extension's
// objects are. A refusal is an answer, not an error. Waits for a rival transaction only if the
// answer hangs on how it ends. Errors: 25006 in a read-only transaction or on a standby; 40001
// under SERIALIZABLE; 40P01; lock_timeout, statement_timeout and cancel while waiting; what the
// shop's own constraints and triggers on the ledger raise.
redeem_answer redeem(const redeem_request &request, schema &objects);

} // namespace coupon_guard
