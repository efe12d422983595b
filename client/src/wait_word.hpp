/// What threads sleep on until somebody changes it (private): C++20's std::atomic::wait(), with a
/// deadline, and so that any number of sleepers is woken by one call and needs no mutex then.
#ifndef COUPON_GUARD_SRC_WAIT_WORD_HPP
#define COUPON_GUARD_SRC_WAIT_WORD_HPP

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#if defined(__linux__) && defined(__LP64__) // elsewhere the call may want another timespec
#include <climits>
#include <ctime>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace coupon_guard {

/// Whoever wants to be told reads the value, and sleeps while it is that; whoever tells changes it,
/// and wakes. So nobody sleeps through a change, whenever it comes.
class portable_wait_word {
  public:
    using clock = std::chrono::steady_clock;
    using number = std::uint32_t;

    number get() const noexcept { return value_.load(std::memory_order_acquire); }
    void add(number more) noexcept { value_.fetch_add(more, std::memory_order_release); }

    /// Until it is no longer `seen`, or the deadline has passed; perhaps not as long.
    void sleep_until(number seen, clock::time_point deadline) {
        std::unique_lock<std::mutex> lock{mutex_};
        if (get() == seen)
            changed_.wait_until(lock, deadline);
    }
    void sleep(number seen) {
        std::unique_lock<std::mutex> lock{mutex_};
        if (get() == seen)
            changed_.wait(lock);
    }

    void wake_one() noexcept {
        let_them_fall_asleep();
        changed_.notify_one();
    }
    void wake_all() noexcept {
        let_them_fall_asleep();
        changed_.notify_all();
    }

  private:
    /// Those that have seen the old value.
    void let_them_fall_asleep() noexcept { const std::lock_guard<std::mutex> lock{mutex_}; }

    std::atomic<number> value_{0};
    std::mutex mutex_;
    std::condition_variable changed_;
};

#if defined(__linux__) && defined(__LP64__) // elsewhere the call may want another timespec

/// The same, by a system call.
class futex_wait_word {
  public:
    using clock = std::chrono::steady_clock;
    using number = std::uint32_t;

    number get() const noexcept { return value_.load(std::memory_order_acquire); }
    void add(number more) noexcept { value_.fetch_add(more, std::memory_order_release); }

    void sleep_until(number seen, clock::time_point deadline) noexcept {
        const auto since = deadline.time_since_epoch(); // of CLOCK_MONOTONIC, which is that clock
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        timespec until{};
        until.tv_sec = static_cast<std::time_t>(seconds.count());
        until.tv_nsec = static_cast<long>(std::chrono::nanoseconds{since - seconds}.count());
        call(FUTEX_WAIT_BITSET_PRIVATE, seen, &until);
    }
    void sleep(number seen) noexcept { call(FUTEX_WAIT_BITSET_PRIVATE, seen, nullptr); }

    void wake_one() noexcept { call(FUTEX_WAKE_PRIVATE, 1, nullptr); }
    void wake_all() noexcept { call(FUTEX_WAKE_PRIVATE, INT_MAX, nullptr); }

  private:
    void call(int operation, number value, const timespec *until) noexcept {
        syscall(SYS_futex, reinterpret_cast<number *>(&value_), operation, value, until, nullptr,
                FUTEX_BITSET_MATCH_ANY);
    }

    std::atomic<number> value_{0};
    static_assert(sizeof(std::atomic<number>) == sizeof(number));
};

using wait_word = futex_wait_word;

#else

using wait_word = portable_wait_word;

#endif

} // namespace coupon_guard

#endif
