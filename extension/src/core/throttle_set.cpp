#include "core/throttle_set.hpp"

#include <cmath>

namespace coupon_guard {
namespace {

// The key's place, or else that of the entry which is due earliest.
int place_of(const throttle_set &set, std::uint64_t key) noexcept {
    int earliest = 0;
    for (int i = 0; i < throttle_ways; i++) {
        if (set.ways[i].key == key)
            return i;
        if (set.ways[i].due < set.ways[earliest].due)
            earliest = i;
    }
    return earliest;
}

// The latest that a bucket of this limit can be due.
std::int64_t latest_due(attempt_limit limit, std::int64_t now) noexcept {
    return now + limit.burst * limit.interval;
}

std::int64_t due_under(attempt_limit limit, std::int64_t due, std::int64_t now) noexcept {
    const std::int64_t latest = latest_due(limit, now);
    return due < latest ? due : latest;
}

std::int64_t wait_until_due(attempt_limit limit, std::int64_t due, std::int64_t now) noexcept {
    const std::int64_t wait = due - (latest_due(limit, now) - limit.interval);
    return wait > 0 ? wait : 0;
}

} // namespace

attempt_limit limit_of(double attempts_a_minute, int burst) noexcept {
    const double interval = 60e6 / attempts_a_minute;
    if (interval >= static_cast<double>(max_interval))
        return {max_interval, burst};
    return {interval < 1 ? 1 : std::llround(interval), burst};
}

std::int64_t wait_for_attempt(const throttle_set &set, std::uint64_t key, attempt_limit limit,
                              std::int64_t now) noexcept {
    const throttle_entry &entry = set.ways[place_of(set, key)];
    return wait_until_due(limit, due_under(limit, entry.due, now), now);
}

std::int64_t take_attempt(throttle_set &set, std::uint64_t key, attempt_limit limit,
                          std::int64_t now) noexcept {
    throttle_entry &entry = set.ways[place_of(set, key)];
    const std::int64_t due = due_under(limit, entry.due, now);
    const std::int64_t wait = wait_until_due(limit, due, now);
    if (wait == 0) {
        entry = {key, (due > now ? due : now) + limit.interval};
    } else if (due < entry.due) {
        entry = {key, due}; // that the wait comes true
    }
    return wait;
}

} // namespace coupon_guard
