#include "scenario/starting_gate.hpp"

namespace coupon_race {

bool starting_gate::wait() {
    std::unique_lock lock{mutex_};
    if (called_off_)
        return false;
    if (++waiting_ == runners_) {
        waiting_ = 0;
        ++openings_;
        opened_.notify_all();
        return true;
    }
    const std::int64_t seen = openings_;
    opened_.wait(lock, [&] { return called_off_ || openings_ != seen; });
    return openings_ != seen;
}

void starting_gate::call_off() {
    const std::lock_guard lock{mutex_};
    called_off_ = true;
    opened_.notify_all();
}

std::int64_t starting_gate::openings() const {
    const std::lock_guard lock{mutex_};
    return openings_;
}

} // namespace coupon_race
