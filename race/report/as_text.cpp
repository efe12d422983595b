#include <fmt/format.h>

#include "report/forms.hpp"
#include "report/tables.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

std::string what_broke(const judgement &judged) {
    std::vector<std::string> broken;
    for (const finding &found : judged.findings)
        if (found.count > 0)
            broken.push_back(fmt::format("{} {}", found.count, found.title));
    return list_text(broken);
}

/// Nothing for one that kept what it promised.
std::string on_verdict(const strategy_report &strategy, const race_report &report) {
    const judgement &judged = strategy.judged;
    if (judged.verdict == verdict::unknown)
        return fmt::format("{}: could not tell, because {}.\n", strategy.name, judged.reason);
    if (judged.verdict == verdict::fail)
        return judged.failure_expected
                   ? strategy.name + ": " + report.raced->as_feared(judged, report.settings) + "\n"
                   : strategy.name + " broke its promise: " + what_broke(judged) + ".\n";
    if (!strategy.promises_once_per_user)
        return strategy.name + ": " + report.raced->luck(report.settings) + "\n";
    return "";
}

/// How the last of the strategies, the cure, compares with the first.
std::string on_speed(const race_report &report) {
    const strategy_report &first = report.strategies.front();
    const strategy_report &last = report.strategies.back();
    return fmt::format("The sale took {} with {} and {} with {}.\n",
                       duration_text(first.timing.elapsed), first.name,
                       duration_text(last.timing.elapsed), last.name);
}

std::string on_sale(const race_report &report) {
    std::string text;
    for (const strategy_report &strategy : report.strategies)
        if (strategy.unknown_outcomes > 0)
            text += fmt::format("{}: {} never learned whether they had it.\n", strategy.name,
                                counted_text(strategy.unknown_outcomes, "buyer"));
    return report.strategies.size() > 1 ? text + on_speed(report) : text;
}

} // namespace

std::string server_text(const server_description &server) {
    return fmt::format("PostgreSQL {}, {}, fsync {}, synchronous_commit {}", server.version,
                       server.throwaway ? "a throw-away server" : "your server",
                       server.fsync ? "on" : "off", server.synchronous_commit);
}

std::string conclusions(const race_report &report) {
    std::string text;
    std::vector<std::string> passed;
    for (const strategy_report &strategy : report.strategies) {
        const std::string said = on_verdict(strategy, report);
        if (said.empty())
            passed.push_back(strategy.name);
        text += said;
    }
    if (!passed.empty())
        text += list_text(passed) + ": " + report.raced->kept(report.settings) + "\n";
    return report.settings.buyers > 0 ? text + on_sale(report) : text;
}

std::string as_text(const race_report &report, charset characters, bool colour) {
    const std::string heading = report.raced->name + ": " + report.raced->scene(report.settings) +
                                "\n" + server_text(report.server) + "\n";
    if (report.strategies.empty())
        return heading;
    const std::string latency = latency_table(report, characters, colour);
    return heading + "\n" + render_table(summary_table(report), colour) + "\n" + latency +
           (latency.empty() ? "" : "\n") + conclusions(report);
}

} // namespace coupon_race
