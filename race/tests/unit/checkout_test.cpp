#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "race_builders.hpp"
#include "report/forms.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

attempt visited(const attempt &what, std::chrono::milliseconds length = 10ms) {
    return lasting(what, 0ms, length);
}

attempt walked_away(std::int64_t user) {
    return visited(made_by(user, outcome::walked_away));
}

attempt too_late(std::int64_t user) {
    return visited(made_by(user, outcome::expired));
}

judgement judge_checkout(const race_log &log, const std::vector<ledger_row> &ledger,
                         std::int64_t cap, std::int64_t broken_invariants) {
    return judged_as("checkout", log, ledger, cap, broken_invariants);
}

TEST(CheckoutVerdict, EveryUnitConfirmedOncePasses) {
    const judgement judged =
        judge_checkout({visited(acknowledged(1, 1)), walked_away(2), too_late(3),
                        visited(acknowledged(4, 4)), visited(refused(5))},
                       {{1, 1}, {4, 4}}, 2, 0);
    EXPECT_EQ(judged.verdict, verdict::pass) << judged.reason;
    EXPECT_EQ(judged.redeemed, 2);
}

TEST(CheckoutVerdict, UnitsLeftThoughSomebodyWasSentHomeNeverCameBack) {
    const race_log log{visited(acknowledged(1, 1)), walked_away(2), visited(refused(3))};
    EXPECT_EQ(count_of(judge_checkout(log, {{1, 1}}, 3, 0), "left_unsold"), 1)
        << "no more than could have been sold";
    EXPECT_EQ(judge_checkout(log, {{1, 1}}, 3, 0).verdict, verdict::fail);
}

TEST(CheckoutVerdict, UnitsLeftAreNoFaultIfNobodyWantedThem) {
    EXPECT_EQ(
        judge_checkout({visited(acknowledged(1, 1)), walked_away(2), too_late(3)}, {{1, 1}}, 3, 0)
            .verdict,
        verdict::pass);
}

TEST(CheckoutVerdict, EachBrokenPromiseIsCounted) {
    const race_log log{visited(acknowledged(1, 1)), visited(acknowledged(2, 9)), walked_away(3),
                       too_late(4), visited(refused(5))};
    const judgement judged = judge_checkout(log, {{1, 1}, {2, 1}, {3, 3}, {4, 4}, {5, 5}}, 4, 2);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_EQ(count_of(judged, "over_the_cap"), 1);
    EXPECT_EQ(count_of(judged, "double_redemptions"), 1);
    EXPECT_EQ(count_of(judged, "lost"), 1) << "buyer 2";
    EXPECT_EQ(count_of(judged, "unasked"), 3) << "walked away, too late, sent home";
    EXPECT_EQ(count_of(judged, "broken_invariants"), 2);
}

TEST(CheckoutVerdict, AnUnknownOutcomeMayHaveARowOrNone) {
    EXPECT_EQ(judge_checkout({visited(unknown(1))}, {{1, 1}}, 1, 0).verdict, verdict::pass);
    EXPECT_EQ(judge_checkout({visited(unknown(1))}, {}, 1, 0).verdict, verdict::pass);
}

TEST(CheckoutVerdict, AFailedVisitLeavesItOpen) {
    EXPECT_EQ(judge_checkout({visited(failed(1, "no"))}, {}, 1, 0).verdict, verdict::unknown);
    EXPECT_EQ(judge_checkout({}, {}, 1, 0).verdict, verdict::unknown);
}

TEST(WalksAway, IsTheSameForEveryStrategyAndAsFrequentAsWanted) {
    race_settings settings;
    settings.walk_away_rate = 0.25;
    int leaving = 0;
    for (std::int64_t buyer = 1; buyer <= 10000; ++buyer) {
        leaving += walks_away(settings, 7, buyer);
        ASSERT_EQ(walks_away(settings, 7, buyer), walks_away(settings, 7, buyer));
    }
    EXPECT_NEAR(leaving, 2500, 300);
}

race_report checkout_report() {
    race_report report = blank_report("checkout");
    report.settings.buyers = 3;
    report.settings.cap = 1;
    race_result result = left_behind(
        {visited(acknowledged(1, 1), 30ms), walked_away(2), visited(refused(3))}, {{1, 1}});
    result.log[0].until_held = 6ms;
    result.came_back = 1;
    report.strategies = {
        report_on(*report.raced, report.settings, *report.raced->strategies.back(), result)};
    return report;
}

TEST(CheckoutReport, HasItsOwnColumns) {
    EXPECT_EQ(
        as_text(checkout_report(), charset::ascii, false),
        R"(checkout: 3 buyers for 1 units, 32 at once; 20.0 ms to think, 30% walk away; a unit is held for 200 ms
PostgreSQL 15.20, a throw-away server, fsync on, synchronous_commit on

strategy       buyers  confirmed  over the cap  left unsold  walked away  came back     wait  retries  errors      p50      p99  per second  verdict
redeem_coupon       3          1             0            0            1          1  3.00 ms        0       0  10.0 ms  30.0 ms         100  pass

latency            p50      p95      p99  10 ms
redeem_coupon  10.0 ms  30.0 ms  30.0 ms  #          =

redeem_coupon: never a unit too many, nobody twice, every abandoned unit sold again.
)");
}

TEST(CheckoutReport, HasTheSameFiguresInJson) {
    const auto json = nlohmann::json::parse(as_json(checkout_report()));
    EXPECT_EQ(json["settings"]["walk_away_rate"], 0.3);
    EXPECT_EQ(json["settings"]["ttl_ms"], 200.0);
    const auto &strategy = json["strategies"][0];
    EXPECT_EQ(strategy["redeemed"], 1);
    EXPECT_EQ(strategy["refused"], 1) << "who walked away was not";
    EXPECT_EQ(strategy["walked_away"], 1);
    EXPECT_EQ(strategy["came_back"], 1);
    EXPECT_EQ(strategy["confirmed_too_late"], 0);
    EXPECT_EQ(strategy["left_unsold"], 0);
}

} // namespace
