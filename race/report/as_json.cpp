#include "report/forms.hpp"

#include <nlohmann/json.hpp>

namespace coupon_race {

namespace {

using json = nlohmann::ordered_json;

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

json value_of(std::chrono::microseconds value) {
    return milliseconds(value);
}
template <typename Number>
json value_of(Number value) {
    return value;
}

json settings_of(const race_report &report) {
    json object;
    for (const setting &each : report.raced->settings)
        object[each.key] =
            std::visit([&](auto where) { return value_of(report.settings.*where); }, each.where);
    object["seed"] = report.seed;
    return object;
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
    for (const measure &each : strategy.measures)
        object[each.key] = each.count ? json(*each.count) : json(milliseconds(each.time.value()));
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
                {"scenario", report.raced->name},
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
