#include "report/latency_table.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "report/text_table.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

constexpr int most_buckets = 48;

using levels = std::vector<std::string>;

/// From nothing to full.
const levels &levels_of(charset characters) {
    static const levels blocks{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    static const levels ascii{" ", ".", ":", "-", "=", "+", "*", "%", "#"};
    return characters == charset::utf8 ? blocks : ascii;
}

/// A bucket that is not empty is always seen. No line ends in blanks.
std::string drawn(std::vector<std::int64_t> counts, const levels &heights) {
    while (!counts.empty() && counts.back() == 0)
        counts.pop_back();
    if (counts.empty())
        return "";
    const std::int64_t most = *std::max_element(counts.begin(), counts.end());
    const auto full = static_cast<std::int64_t>(heights.size()) - 1;
    std::string line;
    for (const std::int64_t count : counts)
        line += heights[static_cast<std::size_t>((count * full + most - 1) / most)];
    return line;
}

/// Where the decades begin, as far as there is room to say so.
std::string ruler(const latency_scale &scale) {
    std::string line;
    for (int bucket = 0; bucket < scale.buckets; bucket += scale.per_decade) {
        const auto place = static_cast<std::size_t>(bucket);
        if (line.size() >= place && place > 0)
            continue;
        line.resize(place, ' ');
        line += round_duration_text(scale.edge(bucket));
    }
    return line;
}

} // namespace

latency_scale latency_scale_of(const race_report &report) {
    latency_histogram all;
    for (const strategy_report &strategy : report.strategies)
        all.add(strategy.timing.histogram);
    return scale_for(all, most_buckets);
}

std::string latency_table(const race_report &report, charset characters, bool colour) {
    const latency_scale scale = latency_scale_of(report);
    if (scale.buckets == 0)
        return "";
    std::vector<std::vector<cell>> rows{{{"latency"}, {"p50"}, {"p95"}, {"p99"}, {ruler(scale)}}};
    for (cell &title : rows.front())
        title.look = style::bold;
    for (const strategy_report &strategy : report.strategies) {
        const latencies &latency = strategy.timing.latency;
        rows.push_back({{strategy.name},
                        {duration_text(latency.p50)},
                        {duration_text(latency.p95)},
                        {duration_text(latency.p99)},
                        {drawn(strategy.timing.histogram.on(scale), levels_of(characters))}});
    }
    return render_table(rows, colour);
}

} // namespace coupon_race
