/// The sentences at the end of a report.

#include <fmt/format.h>

#include "report/forms.hpp"

namespace coupon_race {

namespace {

std::string counted(std::int64_t count, const char *one, const char *many) {
    return fmt::format("{} {}", count, count == 1 ? one : many);
}

/// "a", "a and b", "a, b and c"
std::string list_of(const std::vector<std::string> &names) {
    std::string text;
    for (std::size_t at = 0; at < names.size(); ++at) {
        if (at > 0)
            text += at + 1 == names.size() ? " and " : ", ";
        text += names[at];
    }
    return text;
}

std::string what_broke(const judgement &judged) {
    std::vector<std::string> broken;
    for (const finding &found : judged.findings)
        if (found.count > 0)
            broken.push_back(fmt::format("{} {}", found.count, found.title));
    return list_of(broken);
}

std::string on_double_redemptions(const strategy_report &strategy, std::int64_t rounds) {
    const judgement &judged = strategy.judged;
    return fmt::format("{}: {} of {} got the coupon more than once ({} too many).", strategy.name,
                       judged.users_redeemed_twice, counted(rounds, "user", "users"),
                       counted(judged.findings.front().count, "redemption", "redemptions"));
}

std::string on_failure(const strategy_report &strategy, std::int64_t rounds) {
    if (strategy.judged.failure_expected)
        return on_double_redemptions(strategy, rounds);
    return fmt::format("{} broke its promise: {}.", strategy.name, what_broke(strategy.judged));
}

std::string on_luck(const strategy_report &strategy, const race_report &report) {
    return fmt::format("{}: no double redemption was seen this time. That was luck, not safety: "
                       "--think-time {} or more --clients would show it.",
                       strategy.name, report.think_time.count() / 1000 + 5);
}

std::string on_unknown(const strategy_report &strategy) {
    return fmt::format("{}: could not tell, because {}.", strategy.name, strategy.judged.reason);
}

/// How the last of the strategies, the cure, compares with the first.
std::string on_speed(const race_report &report) {
    const strategy_report &first = report.strategies.front();
    const strategy_report &last = report.strategies.back();
    return fmt::format("The sale took {} with {} and {} with {}.",
                       duration_text(first.timing.elapsed), first.name,
                       duration_text(last.timing.elapsed), last.name);
}

std::string on_never_told(const strategy_report &strategy) {
    return fmt::format("{}: {} never learned whether they had it.", strategy.name,
                       counted(strategy.unknown_outcomes, "buyer", "buyers"));
}

std::string on_passes(const std::vector<std::string> &names, const race_report &report) {
    if (report.checkout)
        return fmt::format(
            "{}: never a unit too many, nobody twice, every abandoned unit sold again.",
            list_of(names));
    if (report.drop)
        return fmt::format(
            "{}: never a unit too many, nobody twice, nobody sent away while one was "
            "left.",
            list_of(names));
    const std::int64_t rounds = report.rounds;
    return fmt::format("{}: one redemption for each of {}, none lost, nobody refused for nothing.",
                       list_of(names), counted(rounds, "user", "users"));
}

} // namespace

std::string conclusions(const race_report &report) {
    std::string text;
    std::vector<std::string> passed;
    for (const strategy_report &strategy : report.strategies) {
        if (strategy.judged.verdict == verdict::unknown)
            text += on_unknown(strategy) + "\n";
        else if (strategy.judged.verdict == verdict::fail)
            text += on_failure(strategy, report.rounds) + "\n";
        else if (!strategy.promises_once_per_user)
            text += on_luck(strategy, report) + "\n";
        else
            passed.push_back(strategy.name);
    }
    if (!passed.empty())
        text += on_passes(passed, report) + "\n";
    if (!report.drop && !report.checkout)
        return text;
    for (const strategy_report &strategy : report.strategies)
        if (strategy.unknown_outcomes > 0)
            text += on_never_told(strategy) + "\n";
    if (report.strategies.size() > 1)
        text += on_speed(report) + "\n";
    return text;
}

} // namespace coupon_race
