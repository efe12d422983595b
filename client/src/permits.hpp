/// How many may do something at once (private).
#ifndef COUPON_GUARD_SRC_PERMITS_HPP
#define COUPON_GUARD_SRC_PERMITS_HPP

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace coupon_guard {

class permits {
  public:
    explicit permits(int number)
        : free_{number} {}

    /// False if none was to be had by `deadline`, or they are closed.
    bool acquire(std::chrono::steady_clock::time_point deadline) {
        std::unique_lock<std::mutex> lock{mutex_};
        const bool is_over =
            changed_.wait_until(lock, deadline, [&] { return is_closed_ || free_ > 0; });
        if (!is_over || is_closed_)
            return false;
        --free_;
        return true;
    }

    void release() {
        {
            const std::lock_guard<std::mutex> lock{mutex_};
            ++free_;
        }
        changed_.notify_one();
    }

    /// Nobody gets one from now on.
    void close() {
        {
            const std::lock_guard<std::mutex> lock{mutex_};
            is_closed_ = true;
        }
        changed_.notify_all();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int free_;
    bool is_closed_ = false;
};

} // namespace coupon_guard

#endif
