#include "report/as_text.hpp"

#include <fmt/format.h>

#include "report/text_table.hpp"

namespace coupon_race {

namespace {

using row = std::vector<cell>;

std::string scene_of(const drop &scenario) {
    std::string text = fmt::format("{} buyers for {} units, {} at once", scenario.buyers,
                                   scenario.cap, scenario.clients);
    if (scenario.hold_time.count() > 0)
        text += fmt::format("; {} from redemption to commit", duration_text(scenario.hold_time));
    if (scenario.rollback_rate > 0)
        text += fmt::format("; {:g}% roll back", scenario.rollback_rate * 100);
    if (scenario.kill_rate > 0)
        text += fmt::format("; {:g}% are killed", scenario.kill_rate * 100);
    return text;
}

std::string scene_of(const checkout &scenario) {
    return fmt::format(
        "{} buyers for {} units, {} at once; {} to think, {:g}% walk away; a unit is "
        "held for {}",
        scenario.buyers, scenario.cap, scenario.clients, duration_text(scenario.think_time),
        scenario.walk_away_rate * 100, duration_text(scenario.ttl));
}

std::string scene_of(const race_report &report) {
    if (report.checkout)
        return scene_of(*report.checkout);
    if (report.drop)
        return scene_of(*report.drop);
    std::string text =
        fmt::format("{} users, each sends {} requests at once", report.rounds, report.clients);
    if (report.think_time.count() > 0)
        text += fmt::format("; {} between look and write", duration_text(report.think_time));
    return text;
}

std::string heading(const race_report &report) {
    std::string text = report.scenario + ": " + scene_of(report);
    const server_description &server = report.server;
    text += fmt::format("\nPostgreSQL {}, {}, fsync {}, synchronous_commit {}\n", server.version,
                        server.throwaway ? "a throw-away server" : "your server",
                        server.fsync ? "on" : "off", server.synchronous_commit);
    return text;
}

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

std::string as_text(const race_report &report, bool colour) {
    if (report.strategies.empty())
        return heading(report);
    const std::vector<std::size_t> shown = findings_shown(report);
    const bool unknowns = any_unknown_outcome(report);
    std::vector<row> rows{title_row(report, shown, unknowns)};
    for (const strategy_report &strategy : report.strategies)
        rows.push_back(strategy_row(strategy, shown, unknowns));
    return heading(report) + "\n" + render_table(rows, colour) + "\n" + conclusions(report);
}

std::string duration_text(duration value) {
    const double ns = static_cast<double>(value.count());
    const auto figures = [](double amount, const char *unit) {
        const int decimals = amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
        return fmt::format("{:.{}f} {}", amount, decimals, unit);
    };
    if (ns < 999.5e3)
        return fmt::format("{:.0f} us", ns / 1e3);
    if (ns < 999.5e6)
        return figures(ns / 1e6, "ms");
    return figures(ns / 1e9, "s");
}

} // namespace coupon_race
