// The time of an answer is that of the call's beginning and the setting, and must hang on nothing
// else. So the wait is for a moment and not for a while, and its end is not rounded: a wait for
// whole milliseconds would end the later in a millisecond the later it began, which is what the
// look-up took. The rest of less than a millisecond is slept, without listening to interrupts.
//
// A user's own doing is told as it is, for it is no news: what a request id, or a hold, has been.

#include "sql/attempt.hpp"

#include "pg/monotonic_clock.hpp"
#include "throttle/throttle.hpp"

extern "C" {
#include "pgstat.h"
#include "storage/latch.h"
}

namespace coupon_guard {
namespace {

int refusals_alike_after = 0; // in milliseconds
constexpr int longest_alike_after = 10000;

bool is_not_to_be_told(coupon_status what) {
    switch (what) {
    case coupon_status::not_found:
    case coupon_status::inactive:
    case coupon_status::not_started:
    case coupon_status::expired:
    case coupon_status::reserved:
        return true;
    default:
        return false;
    }
}

} // namespace

void define_attempt_settings() {
    DefineCustomIntVariable(
        "coupon_guard.refusals_alike_after",
        "Answers not_found to codes that do not exist or cannot be redeemed, after this time.",
        "0: each with its own reason, at once.", &refusals_alike_after, 0, 0, longest_alike_after,
        PGC_SUSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
}

attempt_call begin_attempts() {
    if (refusals_alike_after == 0)
        return {0};
    return {monotonic_now() + INT64CONST(1000) * refusals_alike_after};
}

bool is_throttled(const installation &guard, const user_id &user, TimestampTz &retry_at) {
    return is_throttled({user.bytes, user.length()}, retry_at) && catalog_of(guard).is_updated;
}

void count_attempt(const attempt_call &call, const installation &guard, redeem_request &request) {
    request.is_throttled = is_throttled(guard, request.user, request.retry_at);
    request.hides_reasons = call.alike_at != 0;
}

bool hide_reason(const attempt_call &call, redeem_answer &answer) {
    if (call.alike_at == 0 || answer.is_replayed || !is_not_to_be_told(answer.status))
        return false;
    memset(&answer, 0, sizeof answer);
    answer.status = coupon_status::not_found;
    return true;
}

bool hide_reason(const attempt_call &call, coupon_check &answer) {
    if (call.alike_at == 0 || !is_not_to_be_told(answer.status))
        return false;
    answer = nothing_found();
    return true;
}

bool hide_reason(const attempt_call &call, claim_answer &answer) {
    if (call.alike_at == 0 || !is_not_to_be_told(answer.status))
        return false;
    memset(&answer, 0, sizeof answer);
    answer.status = coupon_status::not_found;
    return true;
}

void wait_to_be_alike(const attempt_call &call) {
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        const int64 left = call.alike_at - monotonic_now();
        if (left <= 0)
            return;
        if (left < 1000) {
            pg_usleep(static_cast<long>(left));
            continue;
        }
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
                        static_cast<long>(left / 1000), PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
    }
}

} // namespace coupon_guard
