#include "judge/latency.hpp"

#include <gtest/gtest.h>

#include "race_builders.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

std::vector<duration> one_to(int last) {
    std::vector<duration> all;
    for (int each = 1; each <= last; ++each)
        all.push_back(std::chrono::milliseconds{each});
    return all;
}

TEST(Percentile, IsAMeasuredValueByNearestRank) {
    EXPECT_EQ(percentile(one_to(100), 50), 50ms);
    EXPECT_EQ(percentile(one_to(100), 99), 99ms);
    EXPECT_EQ(percentile(one_to(5), 50), 3ms);
    EXPECT_EQ(percentile(one_to(5), 99), 5ms);
    EXPECT_EQ(percentile(one_to(4), 50), 2ms);
}

TEST(Percentile, StaysInsideAtTheEnds) {
    EXPECT_EQ(percentile(one_to(10), 0), 1ms);
    EXPECT_EQ(percentile(one_to(10), 100), 10ms);
    EXPECT_EQ(percentile(one_to(1), 50), 1ms);
    EXPECT_EQ(percentile({}, 50), 0ms);
}

TEST(Percentile, IsTakenOfTheSortedValues) {
    const latencies summary = summarise({5ms, 1ms, 3ms, 2ms, 4ms});
    EXPECT_EQ(summary.shortest, 1ms);
    EXPECT_EQ(summary.p50, 3ms);
    EXPECT_EQ(summary.p99, 5ms);
    EXPECT_EQ(summary.longest, 5ms);
}

TEST(Timing, ThroughputIsOverTheTimeFromTheFirstStartToTheLastEnd) {
    const timing time = time_of({lasting(refused(1), 100ms, 50ms), lasting(refused(1), 90ms, 10ms),
                                 lasting(refused(2), 200ms, 390ms)});
    EXPECT_EQ(time.elapsed, 500ms);
    EXPECT_DOUBLE_EQ(time.per_second, 6.0);
    EXPECT_EQ(time.latency.p50, 50ms);
}

TEST(Timing, NothingHappenedTakesNoTime) {
    const timing time = time_of({});
    EXPECT_EQ(time.elapsed, 0ms);
    EXPECT_EQ(time.per_second, 0);
}

} // namespace
