#include "report/as_json.hpp"

#include <nlohmann/json.hpp>

namespace coupon_race {

namespace {

using json = nlohmann::ordered_json;

double milliseconds(duration value) {
    return std::chrono::duration<double, std::milli>(value).count();
}

const char *name_of(verdict value) {
    switch (value) {
    case verdict::pass:
        return "pass";
    case verdict::fail:
        return "fail";
    case verdict::unknown:
        break;
    }
    return "unknown";
}

json settings_of(const drop &scenario, std::uint64_t seed) {
    return {{"clients", scenario.clients},
            {"buyers", scenario.buyers},
            {"cap", scenario.cap},
            {"rollback_rate", scenario.rollback_rate},
            {"kill_rate", scenario.kill_rate},
            {"hold_time_ms", milliseconds(scenario.hold_time)},
            {"seed", seed}};
}

json settings_of(const checkout &scenario, std::uint64_t seed) {
    return {{"clients", scenario.clients},
            {"buyers", scenario.buyers},
            {"cap", scenario.cap},
            {"walk_away_rate", scenario.walk_away_rate},
            {"think_time_ms", milliseconds(scenario.think_time)},
            {"ttl_ms", milliseconds(scenario.ttl)},
            {"seed", seed}};
}

json settings_of(const race_report &report) {
    if (report.checkout)
        return settings_of(*report.checkout, report.seed);
    if (report.drop)
        return settings_of(*report.drop, report.seed);
    return {{"clients", report.clients},
            {"rounds", report.rounds},
            {"think_time_ms", milliseconds(report.think_time)},
            {"seed", report.seed}};
}

json server_of(const server_description &server) {
    return {{"version", server.version},
            {"throwaway", server.throwaway},
            {"fsync", server.fsync},
            {"synchronous_commit", server.synchronous_commit}};
}

json strategy_of(const strategy_report &strategy) {
    const timing &time = strategy.timing;
    const judgement &judged = strategy.judged;
    json object{{"name", strategy.name},
                {"method", strategy.method},
                {"promises_once_per_user", strategy.promises_once_per_user},
                {"attempts", strategy.attempts},
                {"acknowledged", strategy.acknowledged},
                {"refused", strategy.refused},
                {"errors", strategy.errors},
                {"unknown_outcomes", strategy.unknown_outcomes},
                {"retries", strategy.retries},
                {"redeemed", judged.redeemed}};
    // The scenario that measures nothing of its own is the one about users.
    if (strategy.measures.empty())
        object["users_redeemed_twice"] = judged.users_redeemed_twice;
    for (const measure &each : strategy.measures) {
        if (each.count)
            object[each.key] = *each.count;
        else
            object[each.key] = milliseconds(each.time.value_or(duration{}));
    }
    for (const finding &found : judged.findings)
        object[found.key] = found.count;
    object["latency_ms"] = {{"min", milliseconds(time.latency.shortest)},
                            {"p50", milliseconds(time.latency.p50)},
                            {"p95", milliseconds(time.latency.p95)},
                            {"p99", milliseconds(time.latency.p99)},
                            {"max", milliseconds(time.latency.longest)}};
    object["elapsed_ms"] = milliseconds(time.elapsed);
    object["per_second"] = time.per_second;
    object["verdict"] = name_of(judged.verdict);
    object["failure_expected"] = judged.failure_expected;
    if (!judged.reason.empty())
        object["reason"] = judged.reason;
    return object;
}

} // namespace

std::string as_json(const race_report &report) {
    json object{{"coupon_race", COUPON_GUARD_VERSION},
                {"scenario", report.scenario},
                {"started_at", report.started_at},
                {"settings", settings_of(report)},
                {"server", server_of(report.server)},
                {"strategies", json::array()},
                {"exit_status", static_cast<int>(report.status())}};
    for (const strategy_report &strategy : report.strategies)
        object["strategies"].push_back(strategy_of(strategy));
    // An error message may be in any encoding; JSON is UTF-8.
    return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

} // namespace coupon_race
