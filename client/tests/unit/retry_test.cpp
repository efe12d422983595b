#include <coupon_guard/retry.hpp>

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <coupon_guard/errors.hpp>

#include "retry_loop.hpp"

namespace {

using namespace coupon_guard;
using std::chrono::microseconds;

retry_policy quick(int max_attempts) {
    return {max_attempts, microseconds{1}, microseconds{10}};
}

TEST(Backoff, TheLongestPauseDoublesUpToTheCap) {
    const retry_policy policy{10, microseconds{1000}, microseconds{6000}};
    EXPECT_EQ(longest_pause(policy, 1), microseconds{1000});
    EXPECT_EQ(longest_pause(policy, 2), microseconds{2000});
    EXPECT_EQ(longest_pause(policy, 3), microseconds{4000});
    EXPECT_EQ(longest_pause(policy, 4), microseconds{6000});
    EXPECT_EQ(longest_pause(policy, 5), microseconds{6000});
}

TEST(Backoff, NoNumberOfRetriesOverflows) {
    const retry_policy policy{10, microseconds{1000}, microseconds::max()};
    EXPECT_EQ(longest_pause(policy, std::numeric_limits<int>::max()), microseconds::max());
}

TEST(Backoff, ABaseBeyondTheCapIsTheCap) {
    EXPECT_EQ(longest_pause({3, microseconds{50}, microseconds{20}}, 1), microseconds{20});
}

TEST(Backoff, PausesAreDrawnFromTheWholeRange) {
    const retry_policy policy{10, microseconds{1000}, microseconds{1000}};
    backoff pauses{policy, 1};
    microseconds least = microseconds::max();
    microseconds most{0};
    for (int draw = 0; draw < 1000; ++draw) {
        const microseconds pause = pauses.pause(1);
        ASSERT_GE(pause, microseconds{0});
        ASSERT_LE(pause, microseconds{1000});
        least = std::min(least, pause);
        most = std::max(most, pause);
    }
    EXPECT_LT(least, microseconds{50});
    EXPECT_GT(most, microseconds{950});
}

TEST(Backoff, TheSameSeedGivesTheSamePauses) {
    backoff one{retry_policy{}, 7};
    backoff other{retry_policy{}, 7};
    backoff third{retry_policy{}, 8};
    std::vector<microseconds> first_pauses;
    std::vector<microseconds> third_pauses;
    for (int retry = 1; retry <= 20; ++retry) {
        first_pauses.push_back(one.pause(retry));
        EXPECT_EQ(first_pauses.back(), other.pause(retry));
        third_pauses.push_back(third.pause(retry));
    }
    EXPECT_NE(first_pauses, third_pauses);
}

TEST(RetryLoop, RepeatsConflictsAndCountsThem) {
    backoff pauses{quick(10), 1};
    int calls = 0;
    int retries = -1;
    const int result = retry_conflicts(pauses, retries, [&] {
        if (++calls < 4)
            throw transaction_conflict{"conflict", "40001"};
        return 42;
    });
    EXPECT_EQ(result, 42);
    EXPECT_EQ(retries, 3);
}

TEST(RetryLoop, GivesUpAfterTheLastAttemptAndSaysHowOftenItTried) {
    backoff pauses{quick(3), 1};
    int calls = 0;
    int retries = 0;
    try {
        retry_conflicts(pauses, retries, [&]() -> int {
            ++calls;
            throw transaction_conflict{"conflict", "40P01"};
        });
        FAIL() << "no exception";
    } catch (const transaction_conflict &caught) {
        EXPECT_EQ(caught.retries(), 2);
        EXPECT_EQ(caught.sqlstate(), "40P01");
    }
    EXPECT_EQ(calls, 3);
}

TEST(RetryLoop, RepeatsNothingThatMayHaveHappened) {
    backoff pauses{quick(10), 1};
    int calls = 0;
    int retries = 0;
    EXPECT_THROW(retry_conflicts(pauses, retries,
                                 [&]() -> int {
                                     ++calls;
                                     throw outcome_unknown{"gone"};
                                 }),
                 outcome_unknown);
    EXPECT_EQ(calls, 1);
}

} // namespace
