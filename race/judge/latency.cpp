#include "judge/latency.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace coupon_race {

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

timing time_of(const race_log &log) {
    if (log.empty())
        return {};
    std::vector<duration> measured;
    measured.reserve(log.size());
    auto first = log.front().started;
    auto last = log.front().ended;
    for (const logged_attempt &request : log) {
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
