// The buckets of the throttle, and that none is forgotten: judged beside a map that keeps them all.

#include "core/throttle_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

using namespace coupon_guard;

namespace {

constexpr std::int64_t second = 1000000;
constexpr attempt_limit three_then_one_a_second = {second, 3};

// The same buckets without sets: every key's own, for ever.
class exact_buckets {
  public:
    std::int64_t wait_for(std::uint64_t key, attempt_limit limit, std::int64_t now) {
        return std::max(due_[key] - now - (limit.burst - 1) * limit.interval, std::int64_t{0});
    }

    void take(std::uint64_t key, attempt_limit limit, std::int64_t now) {
        due_[key] = std::max(due_[key], now) + limit.interval;
    }

    // What a newcomer under another limit makes of a set (throttle_set.hpp).
    void settle(std::int64_t latest) {
        for (auto &[key, due] : due_)
            due = std::min(due, latest);
    }

  private:
    std::map<std::uint64_t, std::int64_t> due_;
};

std::int64_t earliest_of(const throttle_set &set) {
    return std::min_element(std::begin(set.ways), std::end(set.ways),
                            [](auto &one, auto &other) { return one.due < other.due; })
        ->due;
}

struct attempts_made {
    int allowed = 0, refused = 0, refused_only_here = 0;
};

// Random attempts of so many keys, at random moments; now and then a crowd, so that sets are full.
attempts_made play_history(unsigned seed, int keys, attempt_limit limit) {
    std::mt19937_64 random{seed};
    const auto draw = [&](std::int64_t most) {
        return std::uniform_int_distribution<std::int64_t>{0, most}(random);
    };
    throttle_set set = {};
    exact_buckets exact;
    attempts_made made;
    std::int64_t now = draw(10 * second);
    for (int i = 0; i < 2000; i++) {
        now += draw(9) == 0 ? draw(4 * limit.interval) : draw(limit.interval / 20);
        const auto key = static_cast<std::uint64_t>(1 + draw(keys - 1));
        const std::int64_t earliest = earliest_of(set);
        const std::int64_t ahead = wait_for_attempt(set, key, limit, now);
        const std::int64_t wait = take_attempt(set, key, limit, now);
        EXPECT_EQ(ahead, wait) << "looking and taking agree";
        EXPECT_GE(earliest_of(set), earliest) << "the earliest time of a set never goes back";
        if (wait > 0) {
            EXPECT_EQ(wait_for_attempt(set, key, limit, now + wait), 0) << "the wait is true";
        }
        const std::int64_t exact_wait = exact.wait_for(key, limit, now);
        EXPECT_GE(wait, exact_wait) << "never more lenient: seed " << seed << ", attempt " << i;
        if (wait == 0)
            exact.take(key, limit, now);
        made.allowed += wait == 0;
        made.refused += wait > 0;
        // What is refused here alone, the exact buckets do not count either.
        made.refused_only_here += wait > 0 && exact_wait == 0;
    }
    return made;
}

} // namespace

TEST(ThrottleSet, ABurstAndThenOneInEachInterval) {
    throttle_set set = {};
    const std::int64_t now = 1000 * second;
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now), 0);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now), second);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now + second - 1), 1);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now + second), 0);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now + second), second);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now + 100 * second), 0);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, now + 100 * second), second)
        << "no more than a burst is saved up";
}

TEST(ThrottleSet, ARefusedAttemptSpendsNothing) {
    throttle_set set = {};
    for (int i = 0; i < 3; i++)
        take_attempt(set, 1, three_then_one_a_second, 0);
    for (int i = 0; i < 1000; i++)
        EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, second / 2), second / 2);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, second), 0);
}

TEST(ThrottleSet, KeysDoNotShareABucketWhileThereIsRoom) {
    throttle_set set = {};
    for (std::uint64_t key = 1; key <= throttle_ways; key++)
        for (int i = 0; i < 3; i++)
            EXPECT_EQ(take_attempt(set, key, three_then_one_a_second, 0), 0);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, 0), second);
}

TEST(ThrottleSet, LookingChangesNothing) {
    throttle_set set = {};
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(wait_for_attempt(set, 1, three_then_one_a_second, 0), 0);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, 0), 0);
    for (int i = 0; i < 100; i++)
        EXPECT_EQ(wait_for_attempt(set, 1, three_then_one_a_second, 0), second);
}

TEST(ThrottleSet, WhatHasBeenRefilledIsTheFirstToGoAndCostsNobody) {
    throttle_set set = {};
    const std::int64_t later = 1000 * second;
    take_attempt(set, 1, three_then_one_a_second, 0);
    for (std::uint64_t key = 2; key <= throttle_ways; key++)
        for (int i = 0; i < 3; i++)
            take_attempt(set, key, three_then_one_a_second, later);
    for (int i = 0; i < 3; i++)
        EXPECT_EQ(take_attempt(set, 100, three_then_one_a_second, later), 0)
            << "takes the place of the first, whose bucket is full";
    for (std::uint64_t key = 2; key <= throttle_ways; key++)
        EXPECT_EQ(take_attempt(set, key, three_then_one_a_second, later), second);
}

TEST(ThrottleSet, AnAttackerWithManyKeysIsNotForgotten) {
    throttle_set set = {};
    for (int i = 0; i < 3; i++)
        take_attempt(set, 1, three_then_one_a_second, 0);
    for (std::uint64_t key = 2; key < 10000; key++)
        for (int i = 0; i < 3; i++)
            take_attempt(set, key, three_then_one_a_second, 0);
    EXPECT_EQ(take_attempt(set, 1, three_then_one_a_second, 0), second);
}

TEST(ThrottleSet, IsNeverMoreLenientThanBucketsThatAreKeptForEver) {
    attempts_made all;
    for (unsigned seed = 0; seed < 400; seed++) {
        const int keys = seed % 4 == 0 ? throttle_ways : 2 + static_cast<int>(seed % 4) * 40;
        const attempts_made made = play_history(seed, keys, {second, 1 + seed % 7});
        if (keys <= throttle_ways) {
            EXPECT_EQ(made.refused_only_here, 0) << "with room for all it is exact: seed " << seed;
        }
        all.allowed += made.allowed;
        all.refused += made.refused;
        all.refused_only_here += made.refused_only_here;
    }
    EXPECT_GT(all.allowed, 10000);
    EXPECT_GT(all.refused, 10000);
    EXPECT_GT(all.refused_only_here, 1000) << "newcomers have inherited";
}

// Keys of two limits in one set: what owes more than a whole burst of the one that comes is
// settled.
TEST(ThrottleSet, UnderSeveralLimitsItIsNoMoreLenientThanTheMostGenerousOne) {
    const attempt_limit limits[] = {{60 * second, 3}, {second, 5}};
    for (unsigned seed = 0; seed < 400; seed++) {
        std::mt19937_64 random{seed};
        const auto draw = [&](std::int64_t most) {
            return std::uniform_int_distribution<std::int64_t>{0, most}(random);
        };
        throttle_set set = {};
        exact_buckets exact;
        std::int64_t now = 0;
        for (int i = 0; i < 1000; i++) {
            now += draw(second / 2);
            const auto key = static_cast<std::uint64_t>(1 + draw(39));
            const attempt_limit &limit = limits[key % 2];
            exact.settle(now + limit.burst * limit.interval);
            const std::int64_t wait = take_attempt(set, key, limit, now);
            EXPECT_GE(wait, exact.wait_for(key, limit, now))
                << "seed " << seed << ", attempt " << i;
            if (wait == 0)
                exact.take(key, limit, now);
            else
                EXPECT_EQ(wait_for_attempt(set, key, limit, now + wait), 0) << "the wait is true";
        }
    }
}

TEST(ThrottleSet, ARateIsAnInterval) {
    EXPECT_EQ(limit_of(60, 10).interval, second);
    EXPECT_EQ(limit_of(60, 10).burst, 10);
    EXPECT_EQ(limit_of(1.0 / 1440, 1).interval, 24 * 3600 * second);
    EXPECT_EQ(limit_of(1e-300, 1).interval, max_interval);
    EXPECT_EQ(limit_of(max_attempts_a_minute, 1).interval, 1);
    EXPECT_EQ(limit_of(1e300, 1).interval, 1);
}

TEST(ThrottleSet, NothingOverflows) {
    throttle_set set = {};
    const attempt_limit slowest = {max_interval, max_burst};
    const std::int64_t now = INT64_C(1000) * 365 * 24 * 3600 * second; // after a thousand years
    for (int i = 0; i < max_burst; i++)
        ASSERT_EQ(take_attempt(set, 1, slowest, now), 0);
    EXPECT_EQ(take_attempt(set, 1, slowest, now), max_interval);
}
