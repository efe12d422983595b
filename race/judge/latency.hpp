/// What a set of durations looks like: percentiles, and a histogram of buckets of equal ratio,
/// since latencies spread over decades.
#ifndef COUPON_RACE_JUDGE_LATENCY_HPP
#define COUPON_RACE_JUDGE_LATENCY_HPP

#include <cstdint>
#include <map>
#include <vector>

#include "race_log.hpp"

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

/// The buckets that histograms are shown in, the same for all that are to be compared.
struct latency_scale {
    int per_decade = 1;
    int first = 0; ///< always the beginning of a decade
    int buckets = 0;

    /// Where the bucket begins; the one before it ends there. `bucket` is counted from `first`.
    duration edge(int bucket) const;
};

class latency_histogram {
  public:
    /// How finely is counted. Any divisor of it is a scale that can be shown.
    static constexpr int per_decade = 24;

    /// What is shorter than a microsecond counts as one.
    void add(duration measured);
    void add(const latency_histogram &other);

    std::int64_t total() const;
    /// One figure a bucket; what lies outside of the scale is left out.
    std::vector<std::int64_t> on(const latency_scale &scale) const;

  private:
    friend latency_scale scale_for(const latency_histogram &all, int most_buckets);

    std::map<int, std::int64_t> counts_; ///< by the number of the bucket, from a microsecond on
};

/// The finest scale that has all of `all` in at most that many buckets, if one has; none if it is
/// empty.
latency_scale scale_for(const latency_histogram &all, int most_buckets);

struct timing {
    latencies latency; ///< of a request, with all its repetitions
    latency_histogram histogram;
    duration elapsed{};    ///< from the first request's start to the last one's end
    double per_second = 0; ///< requests answered in that time
};

timing time_of(const race_log &log);

} // namespace coupon_race

#endif
