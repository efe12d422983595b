// A code of a campaign for a user, and back.
#pragma once

#include "coupon/held_code.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

struct claim_answer {
    coupon_status status;
    bool has_code; // if claimed, released or already_redeemed
    campaign_code code;
    bool is_replayed;     // it had been claimed before
    TimestampTz retry_at; // if throttled
};
static_assert(std::is_trivially_destructible_v<claim_answer>);

// Makes the user the holder of a code of the campaign, in the transaction at hand; or finds the one
// that the user holds already. Waits for a rival only if the answer hangs on how it ends.
// Errors: 23505 if plain SQL gives the user a code of the campaign at the same time; what the
// shop's own constraints and triggers on coupon raise; 40001 under SERIALIZABLE; 40P01;
// lock_timeout, statement_timeout and cancel while waiting.
claim_answer claim_coupon(const installation &guard, const user_id &user, const code_key &campaign);

// Gives the user's code of the campaign back for others. not_found: the user holds none;
// already_redeemed: the code has a live redemption or hold, and stays the user's. Errors: as above.
claim_answer release_claim(const installation &guard, const user_id &user,
                           const code_key &campaign);

} // namespace coupon_guard
