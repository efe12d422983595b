#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "race_builders.hpp"
#include "report/forms.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

/// Between two moments; COMMIT is sent one millisecond before the end.
attempt between(std::chrono::milliseconds start, std::chrono::milliseconds end,
                const attempt &what) {
    attempt made = lasting(what, start, end - start);
    if (what.outcome == outcome::redeemed || what.outcome == outcome::unknown)
        made.commit_sent = made.ended - 1ms;
    return made;
}

attempt rolled_back(std::chrono::milliseconds start, std::chrono::milliseconds end,
                    std::int64_t user) {
    return between(start, end, made_by(user, outcome::rolled_back));
}

judgement judge_drop(const race_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap,
                     std::int64_t broken_invariants) {
    return judged_as("drop", log, ledger, cap, broken_invariants);
}

TEST(FalseSoldOuts, ARefusalAfterTheLastCommitIsTrue) {
    EXPECT_EQ(
        false_sold_outs({between(0ms, 10ms, acknowledged(1, 1)),
                         between(0ms, 20ms, acknowledged(2, 2)), between(30ms, 31ms, refused(3))},
                        {{1, 1}, {2, 2}}, 2),
        0);
}

TEST(FalseSoldOuts, ARefusalThatSawTheLastCommitBeforeItsClientWasToldIsTrue) {
    EXPECT_EQ(
        false_sold_outs({between(0ms, 10ms, acknowledged(1, 1)), between(5ms, 10ms, refused(2))},
                        {{1, 1}}, 1),
        0)
        << "COMMIT was sent at 9, the refusal told at 10";
}

TEST(FalseSoldOuts, ARefusalWhileAUnitIsLeftAndNobodyInFlightIsFalse) {
    EXPECT_EQ(
        false_sold_outs({between(0ms, 10ms, acknowledged(1, 1)), between(20ms, 21ms, refused(3)),
                         between(30ms, 40ms, acknowledged(2, 2))},
                        {{1, 1}, {2, 2}}, 2),
        1);
}

TEST(FalseSoldOuts, ARefusalWhileTheLastUnitMayStillComeBackIsFalse) {
    EXPECT_EQ(false_sold_outs({rolled_back(0ms, 50ms, 1), between(20ms, 21ms, refused(2))}, {}, 1),
              1);
    EXPECT_EQ(false_sold_outs({rolled_back(0ms, 50ms, 1), between(20ms, 21ms, refused(2)),
                               between(52ms, 60ms, acknowledged(3, 3))},
                              {{3, 3}}, 1),
              1);
}

TEST(FalseSoldOuts, OneWhoWaitedForTheLastUnitIsNot) {
    EXPECT_EQ(false_sold_outs({rolled_back(0ms, 50ms, 1), between(20ms, 70ms, refused(2)),
                               between(50ms, 60ms, acknowledged(3, 3))},
                              {{3, 3}}, 1),
              0);
}

TEST(FalseSoldOuts, AnUnknownOutcomeCountsIfItsRowIsThere) {
    const race_log log{between(0ms, 10ms, unknown(1)), between(20ms, 21ms, refused(2))};
    EXPECT_EQ(false_sold_outs(log, {{1, 1}}, 1), 0);
    EXPECT_EQ(false_sold_outs(log, {}, 1), 1);
}

TEST(FalseSoldOuts, WhoRolledBackWasNotRefused) {
    EXPECT_EQ(false_sold_outs({rolled_back(0ms, 50ms, 1)}, {}, 1), 0);
}

TEST(DropVerdict, EveryUnitOnceAndTheRestRefusedPasses) {
    const judgement judged = judge_drop(
        {between(0ms, 10ms, acknowledged(1, 1)), between(0ms, 10ms, acknowledged(2, 2)),
         between(0ms, 10ms, unknown(3)), rolled_back(0ms, 5ms, 4), between(9ms, 20ms, refused(5))},
        {{1, 1}, {2, 2}}, 2, 0);
    EXPECT_EQ(judged.verdict, verdict::pass) << judged.reason;
    EXPECT_EQ(judged.redeemed, 2);
}

TEST(DropVerdict, EachBrokenPromiseIsCounted) {
    const race_log log{between(0ms, 1ms, acknowledged(1, 1)), between(0ms, 1ms, acknowledged(2, 9)),
                       between(2ms, 3ms, refused(3)), rolled_back(0ms, 1ms, 4)};
    const judgement judged = judge_drop(log, {{1, 1}, {2, 1}, {3, 3}, {4, 4}}, 3, 5);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_FALSE(judged.failure_expected);
    EXPECT_EQ(count_of(judged, "over_the_cap"), 1);
    EXPECT_EQ(count_of(judged, "double_redemptions"), 1);
    EXPECT_EQ(count_of(judged, "lost"), 1) << "buyer 2";
    EXPECT_EQ(count_of(judged, "unasked"), 2) << "one refused, one rolled back";
    EXPECT_EQ(count_of(judged, "broken_invariants"), 5);
    EXPECT_EQ(count_of(judged, "false_sold_outs"), 1);
}

TEST(DropVerdict, ARowOfAnotherBuyerIsNoProof) {
    EXPECT_EQ(count_of(judge_drop({between(0ms, 1ms, acknowledged(1, 1))}, {{1, 2}}, 3, 0), "lost"),
              1);
}

TEST(DropVerdict, AFailedPurchaseLeavesItOpen) {
    const judgement judged = judge_drop({between(0ms, 1ms, failed(1, "no"))}, {}, 3, 0);
    EXPECT_EQ(judged.verdict, verdict::unknown);
    EXPECT_EQ(judged.reason, "1 request ended in an error, the first: no");
    EXPECT_EQ(judge_drop({}, {}, 3, 0).verdict, verdict::unknown);
}

TEST(Fate, IsTheSameForEveryStrategyAndAsFrequentAsWanted) {
    race_settings settings;
    settings.rollback_rate = 0.2;
    settings.kill_rate = 0.1;
    int counts[5] = {};
    for (std::int64_t buyer = 1; buyer <= 10000; ++buyer) {
        const fate ahead = fate_of(settings, 7, buyer);
        ASSERT_EQ(ahead, fate_of(settings, 7, buyer));
        ++counts[static_cast<int>(ahead)];
    }
    EXPECT_NEAR(counts[static_cast<int>(fate::commit)], 7000, 300);
    EXPECT_NEAR(counts[static_cast<int>(fate::roll_back)], 2000, 300);
    EXPECT_NEAR(counts[static_cast<int>(fate::killed_before_commit)], 500, 150);
    EXPECT_NEAR(counts[static_cast<int>(fate::killed_at_commit)], 250, 100);
    EXPECT_NEAR(counts[static_cast<int>(fate::killed_after_commit)], 250, 100);
}

race_report drop_report() {
    race_report report = blank_report("drop");
    report.settings.buyers = 3;
    report.settings.cap = 1;
    race_result result =
        left_behind({between(0ms, 10ms, acknowledged(1, 1)), rolled_back(0ms, 4ms, 2),
                     between(0ms, 10ms, refused(3)), between(0ms, 1ms, unknown(4))},
                    {{1, 1}});
    result.log[0].connections_lost = 2;
    result.blocked = 8ms;
    report.strategies = {
        report_on(*report.raced, report.settings, strategy_of("drop", "redeem_coupon"), result)};
    return report;
}

TEST(DropReport, HasItsOwnColumns) {
    EXPECT_EQ(
        as_text(drop_report(), charset::ascii, false),
        R"(drop: 3 buyers for 1 units, 32 at once; 2.00 ms from redemption to commit; 10% roll back; 2% are killed
PostgreSQL 15.20, a throw-away server, fsync on, synchronous_commit on

strategy       buyers  sold  over the cap  false sold-outs  killed     wait  retries  errors  unknown      p50      p99  per second  verdict
redeem_coupon       4     1             0                0       2  2.00 ms        0       0        1  4.00 ms  10.0 ms         400  pass

latency            p50      p95      p99  1 ms                    10 ms
redeem_coupon  4.00 ms  10.0 ms  10.0 ms  =             =         #

redeem_coupon: never a unit too many, nobody twice, nobody sent away while one was left.
redeem_coupon: 1 buyer never learned whether they had it.
)");
}

TEST(DropReport, HasTheSameFiguresInJson) {
    const auto json = nlohmann::json::parse(as_json(drop_report()));
    EXPECT_EQ(json["scenario"], "drop");
    EXPECT_EQ(json["settings"]["cap"], 1);
    EXPECT_EQ(json["settings"]["hold_time_ms"], 2.0);
    const auto &strategy = json["strategies"][0];
    EXPECT_EQ(strategy["redeemed"], 1);
    EXPECT_EQ(strategy["acknowledged"], 1);
    EXPECT_EQ(strategy["refused"], 1);
    EXPECT_EQ(strategy["errors"], 0) << "who rolled back met none";
    EXPECT_EQ(strategy["rolled_back"], 1);
    EXPECT_EQ(strategy["connections_lost"], 2);
    EXPECT_EQ(strategy["wait_ms"], 2.0);
    EXPECT_EQ(strategy["over_the_cap"], 0);
    EXPECT_EQ(strategy["false_sold_outs"], 0);
    EXPECT_EQ(strategy["verdict"], "pass");
}

TEST(DropReport, SaysGroupedOfBuyersWhoShareConnections) {
    race_report report = drop_report();
    const strategy &grouped = strategy_of("drop", "grouped");
    race_result result = left_behind({between(0ms, 10ms, acknowledged(1, 1))}, {{1, 1}});
    result.log[0].connections_lost = 3;
    report.strategies.push_back(report_on(*report.raced, report.settings, grouped, result));
    const auto json = nlohmann::json::parse(as_json(report));
    EXPECT_EQ(json["strategies"][1]["name"], "grouped");
    EXPECT_EQ(json["strategies"][1]["connections_lost"], 3);
    for (const std::string &text : {as_text(report, charset::ascii, false), as_html(report)}) {
        EXPECT_NE(text.find("grouped"), std::string::npos) << text;
    }
    EXPECT_NE(as_text(report, charset::ascii, false)
                  .find("redeem_coupon and grouped: never a unit too many, nobody twice,"),
              std::string::npos);
}

TEST(DropStrategies, OnlyGroupedSharesConnections) {
    for (const auto &each : scenario_named("drop").strategies)
        EXPECT_EQ(each->shared_connections() > 0, each->name() == "grouped") << each->name();
}

} // namespace
