#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "race_builders.hpp"
#include "report/forms.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

/// From the beginning to `end`; COMMIT is sent one millisecond before.
attempt wanting(std::int64_t amount, std::chrono::milliseconds end, attempt made) {
    made = lasting(made, 0ms, end);
    made.amount = amount;
    if (made.outcome == outcome::redeemed || made.outcome == outcome::unknown)
        made.commit_sent = made.ended - 1ms;
    return made;
}

race_settings settings_with(std::int64_t budget) {
    race_settings settings;
    settings.budget = budget;
    settings.max_amount = 100;
    settings.buyers = 10;
    return settings;
}

judgement judge_budget(const race_log &log, const std::vector<ledger_row> &ledger,
                       std::int64_t budget, bool promises = true) {
    return scenario_named("budget").judge(left_behind(log, ledger), settings_with(budget),
                                          promises);
}

TEST(FalseRefusals, OfWhatIsStillLeftInTheEndIsFalse) {
    const race_log log{wanting(60, 10ms, acknowledged(1, 1)), wanting(40, 20ms, refused(2)),
                       wanting(41, 20ms, refused(3))};
    EXPECT_EQ(false_refusals(log, {{1, 1, 60}}, 100), 1) << "40 are left, 41 are not";
}

TEST(FalseRefusals, OfWhatWasTakenAfterwardsIsFalse) {
    EXPECT_EQ(false_refusals({wanting(60, 20ms, acknowledged(1, 1)), wanting(60, 10ms, refused(2))},
                             {{1, 1, 60}}, 100),
              1)
        << "it might have rolled back";
}

TEST(FalseRefusals, AfterTheCommitThatLeavesTooLittleIsTrue) {
    EXPECT_EQ(false_refusals({wanting(60, 10ms, acknowledged(1, 1)), wanting(60, 11ms, refused(2))},
                             {{1, 1, 60}}, 100),
              0);
    EXPECT_EQ(false_refusals({wanting(60, 10ms, acknowledged(1, 1)), wanting(60, 10ms, refused(2))},
                             {{1, 1, 60}}, 100),
              0)
        << "COMMIT was sent at 9, the refusal told at 10";
}

TEST(FalseRefusals, ARedemptionThatIsNotInTheLedgerHasNothing) {
    const race_log log{wanting(60, 10ms, unknown(1)), wanting(60, 20ms, refused(2))};
    EXPECT_EQ(false_refusals(log, {}, 100), 1);
    EXPECT_EQ(false_refusals(log, {{1, 1, 60}}, 100), 0);
}

TEST(BudgetVerdict, SpentToTheLastAndTheRestRefusedPasses) {
    const judgement judged = judge_budget(
        {wanting(60, 10ms, acknowledged(1, 1)), wanting(40, 12ms, acknowledged(2, 2)),
         wanting(1, 20ms, refused(3)), wanting(90, 5ms, made_by(4, outcome::rolled_back))},
        {{1, 1, 60}, {2, 2, 40}}, 100);
    EXPECT_EQ(judged.verdict, verdict::pass) << judged.reason;
    EXPECT_EQ(judged.redeemed, 2);
}

TEST(BudgetVerdict, EachBrokenPromiseIsCounted) {
    const judgement judged =
        judge_budget({wanting(60, 10ms, acknowledged(1, 1)), wanting(70, 10ms, acknowledged(2, 2)),
                      wanting(5, 5ms, refused(3)), wanting(9, 5ms, acknowledged(4, 9)),
                      wanting(3, 5ms, made_by(5, outcome::rolled_back))},
                     {{1, 1, 60}, {2, 2, 71}, {3, 5, 3}}, 100);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_FALSE(judged.failure_expected);
    EXPECT_EQ(count_of(judged, "overspent"), 34);
    EXPECT_EQ(count_of(judged, "false_refusals"), 1);
    EXPECT_EQ(count_of(judged, "wrong_amounts"), 1) << "buyer 2";
    EXPECT_EQ(count_of(judged, "lost"), 1) << "buyer 4";
    EXPECT_EQ(count_of(judged, "unasked"), 1) << "buyer 5";
}

TEST(BudgetVerdict, OfOneThatPromisesNothingOverspendingIsExpected) {
    const race_log log{wanting(60, 10ms, acknowledged(1, 1)),
                       wanting(60, 10ms, acknowledged(2, 2))};
    EXPECT_TRUE(judge_budget(log, {{1, 1, 60}, {2, 2, 60}}, 100, false).failure_expected);
    EXPECT_FALSE(judge_budget(log, {{1, 1, 60}}, 100, false).failure_expected) << "one is lost";
}

TEST(BudgetBuyers, WantTheSameWhateverTheStrategyAndFromOneToTheMost) {
    race_settings settings = settings_with(1000);
    settings.rollback_rate = 0.1;
    std::int64_t least = 1000, most = 0, rolled_back = 0, of_those = 0, sum = 0;
    for (std::int64_t buyer = 1; buyer <= 10000; ++buyer) {
        const std::int64_t amount = amount_of(settings, 7, buyer);
        ASSERT_EQ(amount, amount_of(settings, 7, buyer));
        least = std::min(least, amount);
        most = std::max(most, amount);
        sum += amount;
        if (rolls_back(settings, 7, buyer)) {
            ++rolled_back;
            of_those += amount;
        }
    }
    EXPECT_EQ(least, 1);
    EXPECT_EQ(most, 100);
    EXPECT_NEAR(static_cast<double>(sum), 10000 * 50.5, 10000);
    EXPECT_NEAR(static_cast<double>(rolled_back), 1000, 150);
    EXPECT_NEAR(static_cast<double>(of_those) / static_cast<double>(rolled_back), 50.5, 5)
        << "whoever rolls back wants as much as all";
}

race_report budget_report() {
    race_report report = blank_report("budget");
    report.settings.buyers = 4;
    report.settings.budget = 100;
    report.settings.max_amount = 60;
    const race_result kept = left_behind({wanting(60, 10ms, acknowledged(1, 1)),
                                          wanting(30, 4ms, made_by(2, outcome::rolled_back)),
                                          wanting(50, 20ms, refused(3))},
                                         {{1, 1, 60}});
    const race_result overspent =
        left_behind({wanting(60, 10ms, acknowledged(1, 1)), wanting(50, 12ms, acknowledged(3, 2))},
                    {{1, 1, 60}, {2, 3, 50}});
    for (const auto &[name, result] : {std::pair{"naive", overspent}, {"redeem_coupon", kept}})
        report.strategies.push_back(
            report_on(*report.raced, report.settings, strategy_of("budget", name), result));
    return report;
}

TEST(BudgetReport, HasItsOwnColumns) {
    const std::string text = as_text(budget_report(), charset::ascii, false);
    EXPECT_EQ(
        text.substr(0, text.find("\nlatency")),
        R"(budget: 4 buyers want 1 to 60 each of a budget of 100, 32 at once; 2.00 ms from redemption to commit; 10% roll back
PostgreSQL 15.20, a throw-away server, fsync on, synchronous_commit on

strategy       buyers  redeemed  overspent  false refusals  left unspent  wait  retries  errors      p50      p99  per second  verdict
naive               2         2         10               0             0  0 us        0       0  10.0 ms  12.0 ms         167  FAIL, as expected
redeem_coupon       3         1          0               0            40  0 us        0       0  10.0 ms  20.0 ms         150  pass
)");
    EXPECT_NE(text.find("naive: 10 more than the budget of 100 was given away.\n"
                        "redeem_coupon: never more than the budget, nobody refused who could have "
                        "had the amount.\n"),
              std::string::npos)
        << text;
}

TEST(BudgetReport, HasTheSameFiguresInJson) {
    const auto json = nlohmann::json::parse(as_json(budget_report()));
    EXPECT_EQ(json["scenario"], "budget");
    EXPECT_EQ(json["settings"]["budget"], 100);
    EXPECT_EQ(json["settings"]["max_amount"], 60);
    EXPECT_EQ(json["settings"].count("cap"), 0u);
    EXPECT_EQ(json["strategies"][0]["overspent"], 10);
    EXPECT_EQ(json["strategies"][0]["failure_expected"], true);
    const auto &kept = json["strategies"][1];
    EXPECT_EQ(kept["spent"], 60);
    EXPECT_EQ(kept["left_unspent"], 40);
    EXPECT_EQ(kept["rolled_back"], 1);
    EXPECT_EQ(kept["false_refusals"], 0);
    EXPECT_EQ(kept["verdict"], "pass");
}

TEST(BudgetReport, ShowsWhatIsOverTheBudgetAndWhatWasSpentWhen) {
    const picture shown = budget_report().strategies.front().picture;
    ASSERT_EQ(shown.timeline.entries.size(), 2u);
    EXPECT_EQ(shown.timeline.entries[0].wrong, excess::none);
    EXPECT_EQ(shown.timeline.entries[1].wrong, excess::over_the_budget);
    EXPECT_EQ(shown.timeline.shown,
              "All 2 buyers; the first redemption over the budget was after 12.0 ms.");
    ASSERT_EQ(shown.sales.size(), 2u);
    EXPECT_EQ(shown.sales[0].sold, 60);
    EXPECT_EQ(shown.sales[1].sold, 110);
    EXPECT_EQ(budget_report().strategies.back().picture.timeline.shown,
              "All 3 buyers; the last redemption was after 10.0 ms.");

    const std::string page = as_html(budget_report());
    for (const char *part : {R"("limit":{"most":100,"name":"the budget","sold":"amount redeemed"})",
                             R"("excess":"over the budget")"})
        EXPECT_NE(page.find(part), std::string::npos) << part;
}

} // namespace
