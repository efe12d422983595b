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

TEST(AskUntilTold, AsksAgainOnlyAfterDoubtAndCountsIt) {
    backoff pauses{quick(10), 1};
    int calls = 0;
    int asked_again = -1;
    EXPECT_EQ(ask_until_told(pauses, asked_again,
                             [&] {
                                 ++calls;
                                 if (calls == 1)
                                     throw outcome_unknown{"gone"};
                                 if (calls == 2)
                                     throw connection_failed{"not yet back"};
                                 return 42;
                             }),
              42);
    EXPECT_EQ(asked_again, 2);
}

template <typename Thrown, typename Expected>
void expect_at_first(int expected_calls) {
    backoff pauses{quick(3), 1};
    int calls = 0;
    int asked_again = 0;
    EXPECT_THROW(ask_until_told(pauses, asked_again,
                                [&]() -> int {
                                    ++calls;
                                    throw Thrown{"no", "XX000"};
                                }),
                 Expected);
    EXPECT_EQ(calls, expected_calls);
}

TEST(AskUntilTold, WithoutDoubtAnErrorIsThatError) {
    expect_at_first<connection_failed, connection_failed>(1);
    expect_at_first<gave_up_waiting, gave_up_waiting>(1);
    expect_at_first<outcome_unknown, outcome_unknown>(3);
}

template <typename Thrown>
void expect_doubt_stays(int expected_calls) {
    backoff pauses{quick(3), 1};
    int calls = 0;
    int asked_again = 0;
    EXPECT_THROW(ask_until_told(pauses, asked_again,
                                [&]() -> int {
                                    if (++calls == 1)
                                        throw outcome_unknown{"gone"};
                                    throw Thrown{"no", "XX000"};
                                }),
                 outcome_unknown);
    EXPECT_EQ(calls, expected_calls);
}

TEST(AskUntilTold, InDoubtEveryOtherErrorLeavesTheDoubt) {
    expect_doubt_stays<connection_failed>(3);
    expect_doubt_stays<gave_up_waiting>(2);
    expect_doubt_stays<transaction_conflict>(2);
}

} // namespace
