#include "judge/latency.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace coupon_race {

namespace {

using microseconds = std::chrono::duration<double, std::micro>;

int bucket_of(duration measured) {
    const double length = std::max(1.0, microseconds{measured}.count());
    return static_cast<int>(std::floor(std::log10(length) * latency_histogram::per_decade));
}

} // namespace

duration percentile(const std::vector<duration> &sorted, double percent) {
    if (sorted.empty())
        return duration{};
    const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
    const auto place = static_cast<std::size_t>(std::max(1.0, rank));
    return sorted[std::min(place, sorted.size()) - 1];
}

latencies summarise(std::vector<duration> measured) {
    if (measured.empty())
        return {};
    std::sort(measured.begin(), measured.end());
    return {measured.front(), percentile(measured, 50), percentile(measured, 95),
            percentile(measured, 99), measured.back()};
}

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

timing time_of(const race_log &log) {
    if (log.empty())
        return {};
    std::vector<duration> measured;
    measured.reserve(log.size());
    auto first = log.front().started;
    auto last = log.front().ended;
    for (const attempt &request : log) {
        measured.push_back(request.ended - request.started);
        first = std::min(first, request.started);
        last = std::max(last, request.ended);
    }
    timing result;
    for (const duration each : measured)
        result.histogram.add(each);
    result.latency = summarise(std::move(measured));
    result.elapsed = last - first;
    const double seconds = std::chrono::duration<double>(result.elapsed).count();
    result.per_second = seconds > 0 ? static_cast<double>(log.size()) / seconds : 0;
    return result;
}

} // namespace coupon_race
