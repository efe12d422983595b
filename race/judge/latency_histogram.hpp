/// How often which latency was measured: buckets of equal ratio, since latencies spread over
/// decades.
#ifndef COUPON_RACE_JUDGE_LATENCY_HISTOGRAM_HPP
#define COUPON_RACE_JUDGE_LATENCY_HISTOGRAM_HPP

#include <chrono>
#include <cstdint>
#include <map>
#include <vector>

namespace coupon_race {

using duration = std::chrono::nanoseconds;

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

} // namespace coupon_race

#endif
