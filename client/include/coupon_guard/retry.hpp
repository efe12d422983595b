/// How often and how soon a request is repeated after a conflict.
#ifndef COUPON_GUARD_RETRY_HPP
#define COUPON_GUARD_RETRY_HPP

#include <chrono>
#include <cstdint>
#include <random>

namespace coupon_guard {

/// When to repeat after 40001 (serialization failure) or 40P01 (deadlock). Under READ COMMITTED
/// and REPEATABLE READ a single redemption meets neither. Since 0.1.0.
struct retry_policy {
    /// Attempts in all, the first included. 1 means never repeat.
    int max_attempts = 10;
    /// The longest pause before the first repetition; it doubles with each further one ...
    std::chrono::microseconds base{1000};
    /// ... up to this.
    std::chrono::microseconds cap{250000};
};

/// The longest pause before repetition number `retry` (1 is the first): base * 2^(retry-1), at most
/// cap.
std::chrono::microseconds longest_pause(const retry_policy &policy, int retry) noexcept;

/// Draws the pauses. Each is anything between nothing and the longest ("full jitter"): rivals that
/// collided once must not wait in step and collide again. Not for several threads at once.
class backoff {
  public:
    /// The same seed gives the same pauses.
    backoff(const retry_policy &policy, std::uint64_t seed)
        : policy_{policy}
        , random_{seed} {}

    /// The pause before repetition number `retry` (1 is the first).
    std::chrono::microseconds pause(int retry);

    const retry_policy &policy() const noexcept { return policy_; }

  private:
    retry_policy policy_;
    std::mt19937_64 random_;
};

} // namespace coupon_guard

#endif
