#include "report/tables.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "words.hpp"

namespace coupon_race {

namespace {

constexpr char gap[] = "  ";

std::vector<std::size_t> column_widths(const table &rows) {
    std::vector<std::size_t> widths;
    for (const auto &row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], row[column].text.size());
    }
    return widths;
}

// --- the summary ---

/// A column: its title, and its figure in each strategy's row.
struct column {
    std::string title;
    std::function<cell(const strategy_report &)> of;
};

cell figure(std::int64_t count, style if_any = style::plain) {
    return {std::to_string(count), count > 0 ? if_any : style::plain};
}

cell verdict_cell(const strategy_report &strategy) {
    const bool promised = strategy.promises_once_per_user;
    const judgement &judged = strategy.judged;
    style look = style::doubtful;
    if (judged.verdict == verdict::fail)
        look = style::bad;
    if (judged.verdict == verdict::pass && promised)
        look = style::good;
    return {verdict_text(judged, promised), look};
}

/// Of the findings those that the scenario shows always, or that any strategy has some of.
void add_findings(std::vector<column> &columns, const race_report &report) {
    const auto &first = report.strategies.front().judged.findings;
    for (std::size_t which = 0; which < first.size(); ++which) {
        const auto found = [which](const strategy_report &strategy) {
            return strategy.judged.findings[which].count;
        };
        if (first[which].column || std::any_of(report.strategies.begin(), report.strategies.end(),
                                               [&](const auto &each) { return found(each) > 0; }))
            columns.push_back({first[which].title, [found](const strategy_report &strategy) {
                                   return figure(found(strategy), style::bad);
                               }});
    }
}

void add_measures(std::vector<column> &columns, const race_report &report) {
    const auto &first = report.strategies.front().measures;
    for (std::size_t which = 0; which < first.size(); ++which)
        if (!first[which].title.empty())
            columns.push_back({first[which].title, [which](const strategy_report &strategy) {
                                   const measure &each = strategy.measures[which];
                                   return each.count ? figure(*each.count)
                                                     : cell{duration_text(each.time.value())};
                               }});
}

std::vector<column> columns_of(const race_report &report) {
    using strategy = const strategy_report &;
    std::vector<column> columns{
        {"strategy", [](strategy of) { return cell{of.name}; }},
        {report.raced->attempts, [](strategy of) { return figure(of.attempts); }},
        {report.raced->redeemed, [](strategy of) { return figure(of.judged.redeemed); }}};
    add_findings(columns, report);
    add_measures(columns, report);
    columns.push_back({"retries", [](strategy of) { return figure(of.retries); }});
    columns.push_back({"errors", [](strategy of) { return figure(of.errors, style::doubtful); }});
    if (std::any_of(report.strategies.begin(), report.strategies.end(),
                    [](strategy of) { return of.unknown_outcomes > 0; }))
        columns.push_back(
            {"unknown", [](strategy of) { return figure(of.unknown_outcomes, style::doubtful); }});
    columns.insert(columns.end(),
                   {{"p50", [](strategy of) { return cell{duration_text(of.timing.latency.p50)}; }},
                    {"p99", [](strategy of) { return cell{duration_text(of.timing.latency.p99)}; }},
                    {"per second",
                     [](strategy of) { return cell{fmt::format("{:.0f}", of.timing.per_second)}; }},
                    {"verdict", verdict_cell}});
    return columns;
}

// --- latencies ---

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

std::string render_table(const table &rows, bool colour) {
    const std::vector<std::size_t> widths = column_widths(rows);
    std::string text;
    for (const auto &row : rows) {
        for (std::size_t column = 0; column < row.size(); ++column) {
            const bool last = column + 1 == row.size();
            const std::string padding(widths[column] - row[column].text.size(), ' ');
            const std::string shown = styled(row[column].text, row[column].look, colour);
            if (column > 0)
                text += gap;
            if (last)
                text += shown;
            else
                text += column == 0 ? shown + padding : padding + shown;
        }
        text += '\n';
    }
    return text;
}

table summary_table(const race_report &report) {
    if (report.strategies.empty())
        return {};
    table rows(1);
    const std::vector<column> columns = columns_of(report);
    for (const column &each : columns)
        rows.front().push_back({each.title, style::bold});
    for (const strategy_report &strategy : report.strategies) {
        rows.emplace_back();
        for (const column &each : columns)
            rows.back().push_back(each.of(strategy));
    }
    return rows;
}

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
    table rows{{{"latency"}, {"p50"}, {"p95"}, {"p99"}, {ruler(scale)}}};
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
