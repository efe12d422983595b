#include "judge/latency_histogram.hpp"

#include <algorithm>
#include <cmath>

namespace coupon_race {

namespace {

using microseconds = std::chrono::duration<double, std::micro>;

int bucket_of(duration measured) {
    const double length = std::max(1.0, microseconds{measured}.count());
    return static_cast<int>(std::floor(std::log10(length) * latency_histogram::per_decade));
}

} // namespace

duration latency_scale::edge(int bucket) const {
    const double decades = static_cast<double>(first + bucket) / per_decade;
    return std::chrono::round<duration>(microseconds{std::pow(10, decades)});
}

void latency_histogram::add(duration measured) {
    ++counts_[bucket_of(measured)];
}

void latency_histogram::add(const latency_histogram &other) {
    for (const auto &[bucket, count] : other.counts_)
        counts_[bucket] += count;
}

std::int64_t latency_histogram::total() const {
    std::int64_t sum = 0;
    for (const auto &each : counts_)
        sum += each.second;
    return sum;
}

std::vector<std::int64_t> latency_histogram::on(const latency_scale &scale) const {
    std::vector<std::int64_t> shown(static_cast<std::size_t>(scale.buckets));
    for (const auto &[bucket, count] : counts_) {
        const int place = bucket / (per_decade / scale.per_decade) - scale.first;
        if (place >= 0 && place < scale.buckets)
            shown[static_cast<std::size_t>(place)] += count;
    }
    return shown;
}

latency_scale scale_for(const latency_histogram &all, int most_buckets) {
    latency_scale scale;
    if (all.counts_.empty())
        return scale;
    constexpr int finest = latency_histogram::per_decade;
    const int first_decade = all.counts_.begin()->first / finest;
    const int last = all.counts_.rbegin()->first;
    for (const int per_decade : {finest, finest / 2, finest / 3, finest / 4, finest / 8, 1}) {
        scale.per_decade = per_decade;
        scale.first = first_decade * per_decade;
        scale.buckets = last / (finest / per_decade) - scale.first + 1;
        if (scale.buckets <= most_buckets)
            break;
    }
    return scale;
}

} // namespace coupon_race
