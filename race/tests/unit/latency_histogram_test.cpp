#include "judge/latency.hpp"

#include <numeric>

#include <gtest/gtest.h>

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

using counts = std::vector<std::int64_t>;

latency_histogram histogram_of(const std::vector<duration> &measured) {
    latency_histogram histogram;
    for (const duration each : measured)
        histogram.add(each);
    return histogram;
}

TEST(LatencyHistogram, ADurationAtAnEdgeBelongsToTheBucketThatBeginsThere) {
    const latency_histogram histogram = histogram_of({1ms, 9999us, 10ms});
    EXPECT_EQ(histogram.on({1, 3, 2}), (counts{2, 1}));
}

TEST(LatencyHistogram, BucketsAreOfEqualRatio) {
    const latency_scale scale{2, 6, 4};
    EXPECT_EQ(scale.edge(0), 1ms);
    EXPECT_NEAR(static_cast<double>(scale.edge(1).count()), 3162278, 1);
    EXPECT_EQ(scale.edge(2), 10ms);
    EXPECT_EQ(scale.edge(4), 100ms);
}

TEST(LatencyHistogram, WhatLiesOutsideOfTheScaleIsLeftOut) {
    const latency_histogram histogram = histogram_of({5us, 2ms, 2s});
    EXPECT_EQ(histogram.on({1, 3, 1}), (counts{1}));
    EXPECT_EQ(histogram.total(), 3);
}

TEST(LatencyHistogram, TheShortestIsAMicrosecond) {
    EXPECT_EQ(histogram_of({0ns, -1ns, 1us}).on({1, 0, 1}), (counts{3}));
}

TEST(LatencyHistogram, TwoCanBeAddedUp) {
    latency_histogram sum = histogram_of({1ms});
    sum.add(histogram_of({1ms, 10ms}));
    EXPECT_EQ(sum.on({1, 3, 2}), (counts{2, 1}));
}

TEST(LatencyScale, BeginsWithADecadeAndHasEverything) {
    const latency_histogram histogram = histogram_of({250us, 3ms, 47ms});
    const latency_scale scale = scale_for(histogram, 48);
    EXPECT_EQ(scale.edge(0), 100us);
    EXPECT_LE(scale.buckets, 48);
    EXPECT_GT(scale.edge(scale.buckets), 47ms);
    const counts shown = histogram.on(scale);
    EXPECT_EQ(std::accumulate(shown.begin(), shown.end(), std::int64_t{0}), 3);
}

TEST(LatencyScale, IsAsFineAsThereIsRoom) {
    EXPECT_EQ(scale_for(histogram_of({1ms, 90ms}), 48).per_decade, 24);
    EXPECT_EQ(scale_for(histogram_of({1ms, 900ms}), 48).per_decade, 12);
    EXPECT_EQ(scale_for(histogram_of({1us, 900s}), 48).per_decade, 3);
}

TEST(LatencyScale, NothingMeasuredHasNone) {
    EXPECT_EQ(scale_for({}, 48).buckets, 0);
    EXPECT_TRUE(latency_histogram{}.on(scale_for({}, 48)).empty());
}

} // namespace
