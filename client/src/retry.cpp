#include <coupon_guard/retry.hpp>

namespace coupon_guard {

std::chrono::microseconds longest_pause(const retry_policy &policy, int retry) noexcept {
    std::chrono::microseconds pause = policy.base;
    // Compared before it is doubled, so that no number of retries can overflow it.
    for (int doubled = 1; doubled < retry; ++doubled) {
        if (pause >= policy.cap / 2)
            return policy.cap;
        pause *= 2;
    }
    return pause < policy.cap ? pause : policy.cap;
}

std::chrono::microseconds backoff::pause(int retry) {
    using count = std::chrono::microseconds::rep;
    const count longest = longest_pause(policy_, retry).count();
    if (longest <= 0)
        return std::chrono::microseconds{0};
    return std::chrono::microseconds{std::uniform_int_distribution<count>{0, longest}(random_)};
}

} // namespace coupon_guard
