// One redemption or hold, from the request to the answer.
#pragma once

#include "catalog/status.hpp"
#include "coupon/coupon.hpp"
#include "ledger/ledger.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

struct redeem_request {
    user_id user;
    code_key key;
    bool has_request;
    request_id request;
    int part; // 0; or of several coupons redeemed under one request id: which time this one is
              // named
    Datum metadata; // jsonb
    bool has_metadata;
    const Interval *hold_for; // how long to hold; null: redeem
    int64 amount;             // 0: none given
    bool up_to;               // or as much of it as the budget has
    int following;            // so many calls for the same coupon come next, for other users
    bool is_throttled;        // nothing is looked up
    TimestampTz retry_at;     // if throttled: when to come again
    bool hides_reasons;       // a coupon that cannot be redeemed is as if there was none
};

struct redeem_answer {
    coupon_status status;
    bool has_coupon; // false if not_found
    coupon_row coupon;
    bool has_redemption; // if redeemed, held, already_redeemed or voided
    redemption made;
    limit_owner limited_by; // whose limit or window refused it; none if it was no such reason
    quota_kind limit;       // which refused it, if sold_out or insufficient
    bool is_by_shard;       // other shards have the rest of that limit
    int64 bound;          // how much that is: granted in all, or to one user; or from or until when
    int64 left;           // of the budget, if insufficient
    bool is_replayed;     // it had been done by an earlier call
    TimestampTz retry_at; // if throttled
};
static_assert(std::is_trivially_destructible_v<redeem_request> &&
              std::is_trivially_destructible_v<redeem_answer>);

inline bool is_success(coupon_status what) {
    return what == coupon_status::redeemed || what == coupon_status::held;
}

// open_guard() for functions that write to the ledger. Makes visible to them what the command at
// hand has done so far. Errors: 25006 in a read-only transaction or on a standby.
installation open_guard_to_write(Oid function, const char *function_name);

// Redeems or holds the coupon for the user, in the transaction at hand. A refusal is an answer, not
// an error. Waits for a rival transaction only if the answer hangs on how it ends.
// Errors: RC006 if triggers of the shop use up the cap meanwhile; RC007 for a request id used for
// another coupon; 40001 under SERIALIZABLE; 40P01;
// lock_timeout, statement_timeout and cancel while waiting; what the shop's own constraints and
// triggers on the ledger raise.
redeem_answer redeem(const installation &guard, const redeem_request &request);

} // namespace coupon_guard
