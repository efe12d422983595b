/// What a set of durations looks like.
#ifndef COUPON_RACE_JUDGE_LATENCY_HPP
#define COUPON_RACE_JUDGE_LATENCY_HPP

#include <chrono>
#include <vector>

#include "judge/latency_histogram.hpp"
#include "scenario/race_log.hpp"

namespace coupon_race {

/// The smallest of `sorted` that at least `percent` of them do not exceed (nearest rank): a latency
/// that was measured, never one in between. Zero if there are none.
duration percentile(const std::vector<duration> &sorted, double percent);

struct latencies {
    duration shortest{};
    duration p50{};
    duration p95{};
    duration p99{};
    duration longest{};
};

latencies summarise(std::vector<duration> measured);

struct timing {
    latencies latency; ///< of a request, with all its repetitions
    latency_histogram histogram;
    duration elapsed{};    ///< from the first request's start to the last one's end
    double per_second = 0; ///< requests answered in that time
};

timing time_of(const race_log &log);

} // namespace coupon_race

#endif
