/// Repeats a whole transaction after a conflict (private; the runner uses it too).
#ifndef COUPON_GUARD_SRC_RETRY_LOOP_HPP
#define COUPON_GUARD_SRC_RETRY_LOOP_HPP

#include <thread>

#include <coupon_guard/errors.hpp>
#include <coupon_guard/retry.hpp>

namespace coupon_guard {

/// Calls `work` until it does not throw transaction_conflict, pausing in between, and counts the
/// repetitions in `retries`. Past the policy's last attempt the conflict is thrown with that count.
///
/// Only a transaction that the server has rolled back may be repeated, so nothing else is caught:
/// a lost connection least of all.
template <typename Work>
auto retry_conflicts(backoff &pauses, int &retries, Work &&work) -> decltype(work()) {
    for (retries = 0;;) {
        try {
            return work();
        } catch (const transaction_conflict &conflict) {
            if (retries + 1 >= pauses.policy().max_attempts)
                throw transaction_conflict{conflict.what(), conflict.sqlstate(), retries};
        }
        ++retries;
        std::this_thread::sleep_for(pauses.pause(retries));
    }
}

} // namespace coupon_guard

#endif
