#include "report/sentences.hpp"

#include <fmt/format.h>

#include "words.hpp"

namespace coupon_race {

namespace {

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

} // namespace

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

std::string server_text(const server_description &server) {
    return fmt::format("PostgreSQL {}, {}, fsync {}, synchronous_commit {}", server.version,
                       server.throwaway ? "a throw-away server" : "your server",
                       server.fsync ? "on" : "off", server.synchronous_commit);
}

} // namespace coupon_race
