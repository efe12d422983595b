#include "workers.hpp"

#include <system_error>
#include <utility>

namespace coupon_guard {

workers::workers(std::size_t most)
    : most_{most} {}

void workers::start() {
    const std::lock_guard<std::mutex> lock{mutex_};
    if (threads_.empty())
        add_thread();
}

void workers::submit(std::function<void()> task) {
    {
        const std::lock_guard<std::mutex> lock{mutex_};
        if (idle_ <= tasks_.size() && threads_.size() < most_)
            add_thread();
        tasks_.push_back(std::move(task));
    }
    news_.notify_one();
}

void workers::add_thread() {
    try {
        threads_.emplace_back([this] { work(); });
    } catch (const std::system_error &) {
        if (threads_.empty())
            throw;
    }
}

void workers::finish() noexcept {
    {
        const std::lock_guard<std::mutex> lock{mutex_};
        is_finished_ = true;
    }
    news_.notify_all();
    for (std::thread &each : threads_)
        each.join();
    threads_.clear();
}

void workers::work() {
    std::unique_lock<std::mutex> lock{mutex_};
    for (;;) {
        ++idle_;
        news_.wait(lock, [&] { return is_finished_ || !tasks_.empty(); });
        --idle_;
        if (tasks_.empty())
            return;
        const std::function<void()> task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
        lock.lock();
    }
}

} // namespace coupon_guard
