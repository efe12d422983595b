// Token buckets beside a map that keeps every bucket for ever: whatever keys come, in whatever
// order and at whatever times, no key has an attempt that the map would refuse; and what is told to
// wait comes true.
#include "core/throttle_set.hpp"

#include "property.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <cmath>
#include <map>

using namespace coupon_guard;
using fuzzing::require;

namespace {

// What a key has used, by the definition: one time for each, kept for ever.
class reference {
  public:
    explicit reference(attempt_limit limit)
        : limit_(limit) {}

    bool has_attempt(std::uint64_t key, std::int64_t now) const {
        const auto bucket = due_.find(key);
        return bucket == due_.end() || bucket->second <= now + (limit_.burst - 1) * limit_.interval;
    }
    void take(std::uint64_t key, std::int64_t now) {
        std::int64_t &due = due_.try_emplace(key, now).first->second;
        due = std::max(due, now) + limit_.interval;
    }

  private:
    attempt_limit limit_;
    std::map<std::uint64_t, std::int64_t> due_;
};

attempt_limit any_limit(FuzzedDataProvider &choice) {
    const double rate = choice.ConsumeProbability<double>() *
                        std::pow(10, choice.ConsumeIntegralInRange<int>(-12, 7));
    const int burst = choice.ConsumeBool() ? choice.ConsumeIntegralInRange<int>(1, 4)
                                           : choice.ConsumeIntegralInRange<int>(1, max_burst);
    if (!(rate > 0))
        return limit_of(1, burst);
    const attempt_limit limit = limit_of(std::min(rate, max_attempts_a_minute), burst);
    require(limit.interval >= 1 && limit.interval <= max_interval, "an interval is in its range");
    require(limit.burst == burst, "a burst is what was said");
    return limit;
}

// Who is not in the set is refused only if each bucket there owes its whole burst.
void check_newcomer(const throttle_set &set, std::uint64_t key, attempt_limit limit,
                    std::int64_t now, std::int64_t wait) {
    bool is_in_set = false;
    bool has_room = false;
    for (const throttle_entry &entry : set.ways) {
        is_in_set |= entry.key == key;
        has_room |= entry.due <= now + (limit.burst - 1) * limit.interval;
    }
    require(is_in_set || wait == 0 || !has_room, "an innocent newcomer is served if it can be");
}

void check_wait(const throttle_set &set, std::uint64_t key, attempt_limit limit, std::int64_t now,
                std::int64_t wait) {
    require(wait > 0 && wait <= limit.interval * limit.burst,
            "who is refused waits for a whole burst at most");
    require(wait_for_attempt(set, key, limit, now + wait) == 0,
            "after the wait that was told there is an attempt");
    require(wait_for_attempt(set, key, limit, now + wait - 1) > 0, "and not before");
}

// Under one limit there is the map to compare with. Under two, which share the set, debts of one
// limit may be inherited under the other: then waits must come true all the same.
void play(FuzzedDataProvider &choice, attempt_limit limit, attempt_limit other) {
    const bool is_mixed = limit.interval != other.interval || limit.burst != other.burst;
    const auto keys = choice.ConsumeIntegralInRange<std::uint64_t>(1, 40);
    throttle_set set{};
    reference kept(limit);
    std::int64_t now = choice.ConsumeIntegralInRange<std::int64_t>(0, INT64_C(1) << 56);
    while (choice.remaining_bytes() > 0) {
        const auto key = choice.ConsumeIntegralInRange<std::uint64_t>(1, keys);
        const attempt_limit own = key % 2 == 0 ? other : limit; // it is part of a key
        if (choice.ConsumeIntegralInRange<int>(0, 3) == 0)
            now += choice.ConsumeIntegralInRange<std::int64_t>(0, 3 * own.interval);
        const std::int64_t foretold = wait_for_attempt(set, key, own, now);
        check_newcomer(set, key, own, now, foretold);
        const std::int64_t wait = take_attempt(set, key, own, now);
        require(foretold == wait, "to look tells what to take would");
        if (wait > 0) {
            check_wait(set, key, own, now, wait);
            continue;
        }
        if (is_mixed)
            continue;
        require(kept.has_attempt(key, now), "no key has more attempts than if none was forgotten");
        kept.take(key, now);
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    FuzzedDataProvider choice(data, size);
    const attempt_limit limit = any_limit(choice);
    play(choice, limit, choice.ConsumeBool() ? limit : any_limit(choice));
    return 0;
}
