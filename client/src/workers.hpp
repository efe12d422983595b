/// A few threads for what nobody waits for in a thread of their own (private).
#ifndef COUPON_GUARD_SRC_WORKERS_HPP
#define COUPON_GUARD_SRC_WORKERS_HPP

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace coupon_guard {

/// Threads that are started when there is work for them, and stay.
class workers {
  public:
    explicit workers(std::size_t most);
    ~workers() { finish(); }
    workers(const workers &) = delete;
    workers &operator=(const workers &) = delete;

    /// Sees that there is at least one. Throws std::system_error if none can be had.
    void start();

    /// Has one of them call `task`, which does not throw. Throws as start() does if there is none
    /// yet; then the task has not been taken.
    void submit(std::function<void()> task);

    /// Waits until all that was submitted is done. Nothing may be submitted from then on.
    void finish() noexcept;

  private:
    void add_thread();
    void work();

    const std::size_t most_;
    std::mutex mutex_;
    std::condition_variable news_;
    std::deque<std::function<void()>> tasks_;
    std::vector<std::thread> threads_;
    std::size_t idle_ = 0;
    bool is_finished_ = false;
};

} // namespace coupon_guard

#endif
