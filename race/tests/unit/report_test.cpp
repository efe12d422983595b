#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "race_builders.hpp"
#include "report/forms.hpp"
#include "words.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

const strategy &strategy_named(const std::string &name) {
    return strategy_of("double-click", name);
}

race_report report_of(std::vector<strategy_report> strategies) {
    race_report report = blank_report("double-click");
    report.settings.rounds = 2;
    report.seed = 7;
    report.started_at = "2026-01-02T03:04:05Z";
    report.strategies = std::move(strategies);
    return report;
}

strategy_report naive_that_failed() {
    return report_on(strategy_named("naive"),
                     {lasting(acknowledged(1, 10), 0ms, 1ms),
                      lasting(acknowledged(1, 11), 0ms, 2ms),
                      lasting(acknowledged(2, 12), 2ms, 1ms), lasting(refused(2), 2ms, 2ms)},
                     {{10, 1}, {11, 1}, {12, 2}});
}

strategy_report guarded_that_passed() {
    race_log log{lasting(acknowledged(1, 10), 0ms, 1ms), lasting(refused(1), 0ms, 1ms),
                 lasting(acknowledged(2, 11), 1ms, 1ms), lasting(refused(2), 1ms, 1ms)};
    log[1].retries = 3;
    return report_on(strategy_named("redeem_coupon"), log, {{10, 1}, {11, 2}});
}

TEST(TextReport, IsReadAtAGlance) {
    EXPECT_EQ(
        as_text(report_of({naive_that_failed(), guarded_that_passed()}), charset::utf8, false),
        R"(double-click: 2 users, each sends 2 requests at once
PostgreSQL 15.20, a throw-away server, fsync on, synchronous_commit on

strategy       attempts  redeemed  double redemptions  retries  errors      p50      p99  per second  verdict
naive                 4         3                   1        0       0  1.00 ms  2.00 ms        1000  FAIL, as expected
redeem_coupon         4         2                   0        3       0  1.00 ms  1.00 ms        2000  pass

latency            p50      p95      p99  1 ms
naive          1.00 ms  2.00 ms  2.00 ms  █      █
redeem_coupon  1.00 ms  1.00 ms  1.00 ms  █

naive: 1 of 2 users got the coupon more than once (1 redemption too many).
redeem_coupon: one redemption for each of 2 users, none lost, nobody refused for nothing.
)");
}

TEST(TextReport, WhatBrokeGetsAColumnAndASentence) {
    const strategy_report lossy =
        report_on(strategy_named("unique"), {acknowledged(1, 10), refused(1)}, {});
    const std::string text = as_text(report_of({lossy}), charset::ascii, false);
    EXPECT_NE(text.find("acknowledged but lost"), std::string::npos) << text;
    EXPECT_NE(text.find("unique broke its promise: 1 acknowledged but lost."), std::string::npos)
        << text;
}

TEST(TextReport, UnknownOutcomesGetAColumn) {
    const strategy_report broken =
        report_on(strategy_named("unique"), {acknowledged(1, 10), unknown(1)}, {{10, 1}});
    EXPECT_NE(as_text(report_of({broken}), charset::ascii, false).find("  unknown  "),
              std::string::npos);
}

TEST(TextReport, LuckIsNotCalledSafety) {
    const strategy_report lucky =
        report_on(strategy_named("naive"), {acknowledged(1, 10), refused(1)}, {{10, 1}});
    const race_report report = report_of({lucky});
    EXPECT_NE(as_text(report, charset::ascii, false).find("race not seen"), std::string::npos);
    EXPECT_NE(conclusions(report).find("luck"), std::string::npos);
    EXPECT_EQ(report.status(), 0);
}

TEST(TextReport, WhatCouldNotBeToldIsExplained) {
    const strategy_report failing = report_on(strategy_named("redeem_coupon"),
                                              {failed(1, "permission denied"), refused(1)}, {});
    const race_report report = report_of({failing});
    EXPECT_EQ(conclusions(report), "redeem_coupon: could not tell, because 1 request ended in an "
                                   "error, the first: permission denied.\n");
    EXPECT_EQ(report.status(), 2);
}

TEST(TextReport, DurationsHaveThreeFigures) {
    EXPECT_EQ(duration_text(0ns), "0 us");
    EXPECT_EQ(duration_text(870us), "870 us");
    EXPECT_EQ(duration_text(999600ns), "1.00 ms");
    EXPECT_EQ(duration_text(1234us), "1.23 ms");
    EXPECT_EQ(duration_text(45600us), "45.6 ms");
    EXPECT_EQ(duration_text(456ms), "456 ms");
    EXPECT_EQ(duration_text(1200ms), "1.20 s");
}

TEST(JsonReport, HasTheSameFiguresAndTheSettings) {
    const auto json =
        nlohmann::json::parse(as_json(report_of({naive_that_failed(), guarded_that_passed()})));
    EXPECT_EQ(json["scenario"], "double-click");
    EXPECT_EQ(json["settings"]["clients"], 2);
    EXPECT_EQ(json["settings"]["seed"], 7);
    EXPECT_EQ(json["server"]["throwaway"], true);
    EXPECT_EQ(json["exit_status"], 0);
    const auto &naive = json["strategies"][0];
    EXPECT_EQ(naive["name"], "naive");
    EXPECT_EQ(naive["attempts"], 4);
    EXPECT_EQ(naive["acknowledged"], 3);
    EXPECT_EQ(naive["redeemed"], 3);
    EXPECT_EQ(naive["double_redemptions"], 1);
    EXPECT_EQ(naive["users_redeemed_twice"], 1);
    EXPECT_EQ(naive["lost"], 0);
    EXPECT_EQ(naive["verdict"], "fail");
    EXPECT_EQ(naive["failure_expected"], true);
    EXPECT_EQ(naive["latency_ms"]["p95"], 2.0);
    EXPECT_EQ(naive["latency_ms"]["p99"], 2.0);
    EXPECT_EQ(json["strategies"][1]["retries"], 3);
    EXPECT_EQ(json["strategies"][1]["verdict"], "pass");
}

TEST(JsonReport, AnErrorInAnyEncodingIsStillJson) {
    const strategy_report failing = report_on(strategy_named("unique"), {failed(1, "caf\xe9")}, {});
    EXPECT_TRUE(nlohmann::json::accept(as_json(report_of({failing}))));
}

} // namespace
