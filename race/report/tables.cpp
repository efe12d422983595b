#include "report/tables.hpp"

#include <fmt/format.h>

#include "words.hpp"

namespace coupon_race {

namespace {

using row = std::vector<cell>;

/// A finding gets a column if the scenario shows it always, or if any strategy has some of it.
std::vector<std::size_t> findings_shown(const race_report &report) {
    std::vector<std::size_t> shown;
    const auto &first = report.strategies.front().judged.findings;
    for (std::size_t which = 0; which < first.size(); ++which) {
        bool any = first[which].column;
        for (const strategy_report &strategy : report.strategies)
            any = any || strategy.judged.findings[which].count > 0;
        if (any)
            shown.push_back(which);
    }
    return shown;
}

bool any_unknown_outcome(const race_report &report) {
    for (const strategy_report &strategy : report.strategies)
        if (strategy.unknown_outcomes > 0)
            return true;
    return false;
}

style style_of(const judgement &judged) {
    switch (judged.verdict) {
    case verdict::pass:
        return style::good;
    case verdict::fail:
        return style::bad;
    case verdict::unknown:
        break;
    }
    return style::doubtful;
}

cell figure(std::int64_t count, style if_any = style::plain) {
    return {std::to_string(count), count > 0 ? if_any : style::plain};
}

row title_row(const race_report &report, const std::vector<std::size_t> &shown, bool unknowns) {
    const bool buyers = report.drop || report.checkout;
    row titles{{"strategy"}, {buyers ? "buyers" : "attempts"}};
    titles.push_back({report.drop ? "sold" : report.checkout ? "confirmed" : "redeemed"});
    for (const std::size_t which : shown)
        titles.push_back({report.strategies.front().judged.findings[which].title});
    for (const measure &each : report.strategies.front().measures)
        if (!each.title.empty())
            titles.push_back({each.title});
    titles.insert(titles.end(), {{"retries"}, {"errors"}});
    if (unknowns)
        titles.push_back({"unknown"});
    titles.insert(titles.end(), {{"p50"}, {"p99"}, {"per second"}, {"verdict"}});
    for (cell &title : titles)
        title.look = style::bold;
    return titles;
}

row strategy_row(const strategy_report &strategy, const std::vector<std::size_t> &shown,
                 bool unknowns) {
    const judgement &judged = strategy.judged;
    row cells{{strategy.name}, figure(strategy.attempts), figure(judged.redeemed)};
    for (const std::size_t which : shown)
        cells.push_back(figure(judged.findings[which].count, style::bad));
    for (const measure &each : strategy.measures)
        if (!each.title.empty())
            cells.push_back(each.count ? figure(*each.count)
                                       : cell{duration_text(each.time.value_or(duration{}))});
    cells.push_back(figure(strategy.retries));
    cells.push_back(figure(strategy.errors, style::doubtful));
    if (unknowns)
        cells.push_back(figure(strategy.unknown_outcomes, style::doubtful));
    const timing &time = strategy.timing;
    cells.push_back({duration_text(time.latency.p50)});
    cells.push_back({duration_text(time.latency.p99)});
    cells.push_back({fmt::format("{:.0f}", time.per_second)});
    const style verdict_style = judged.verdict == verdict::pass && !strategy.promises_once_per_user
                                    ? style::doubtful
                                    : style_of(judged);
    cells.push_back({verdict_text(judged, strategy.promises_once_per_user), verdict_style});
    return cells;
}

} // namespace

std::vector<std::vector<cell>> summary_table(const race_report &report) {
    if (report.strategies.empty())
        return {};
    const std::vector<std::size_t> shown = findings_shown(report);
    const bool unknowns = any_unknown_outcome(report);
    std::vector<row> rows{title_row(report, shown, unknowns)};
    for (const strategy_report &strategy : report.strategies)
        rows.push_back(strategy_row(strategy, shown, unknowns));
    return rows;
}

} // namespace coupon_race
