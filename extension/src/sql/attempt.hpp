// What a call with codes goes through, whatever it asks: its attempts are counted, and reasons that
// customers are not to be told are left out of its answers.
//
// With setting coupon_guard.refusals_alike_after, that a code does not exist and that it cannot be
// redeemed (inactive, not_started, expired, reserved) is one answer, not_found, which comes at one
// time: so many milliseconds after the call began, whatever was looked up for it. The call waits at
// its end, once, with the locks that it has anyway until the transaction ends.
#pragma once

#include "redeem/check.hpp"
#include "redeem/claim_coupon.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

// To be called by _PG_init().
void define_attempt_settings();

// A call, from its beginning: its arguments have been read, and nothing has been looked up.
struct attempt_call {
    int64 alike_at; // when refusals may be told, of a clock that never goes back; 0: at once
};

inline constexpr attempt_call no_attempt = {0}; // of calls without a code

attempt_call begin_attempts();

// Counts an attempt of this user. True: there have been too many; then nothing must be looked up.
// Objects of 0.1.0 have no status for that: there all attempts are allowed.
bool is_throttled(const installation &guard, const user_id &user, TimestampTz &retry_at);

// The same, noted in the request.
void count_attempt(const attempt_call &call, const installation &guard, redeem_request &request);

// The same, of calls that ask for nothing to be redeemed: the answer says so.
template <typename answer_of_call>
bool refuse_if_throttled(const installation &guard, const user_id &user, answer_of_call &answer) {
    if (!is_throttled(guard, user, answer.retry_at))
        return false;
    answer.status = coupon_status::throttled;
    return true;
}

// Makes the answer not_found, and nothing else, if its reason is not to be told. True: it was, or
// is not_found by itself, so that the call must wait before it answers.
bool hide_reason(const attempt_call &call, redeem_answer &answer);
bool hide_reason(const attempt_call &call, coupon_check &answer);
bool hide_reason(const attempt_call &call, claim_answer &answer);

// Errors: statement_timeout, cancel, terminate.
void wait_to_be_alike(const attempt_call &call);

} // namespace coupon_guard
