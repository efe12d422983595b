#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "race_builders.hpp"
#include "report/forms.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

/// From the beginning to `end`; COMMIT is sent one millisecond before.
attempt until(std::chrono::milliseconds end, attempt made) {
    made = lasting(made, 0ms, end);
    if (made.outcome == outcome::redeemed || made.outcome == outcome::unknown)
        made.commit_sent = made.ended - 1ms;
    return made;
}

race_settings settings_with(std::int64_t codes) {
    race_settings settings = scenario_named("claim").defaults;
    settings.cap = codes;
    settings.buyers = 10;
    return settings;
}

judgement judge_claims(const race_log &log, const std::vector<ledger_row> &ledger,
                       std::int64_t codes, bool promises = true) {
    return scenario_named("claim").judge(left_behind(log, ledger), settings_with(codes), promises);
}

TEST(RefusedTooEarly, WhileACodeIsLeftOrMightComeBack) {
    EXPECT_EQ(refused_too_early({until(10ms, acknowledged(1, 7)), until(20ms, refused(2))},
                                {{7, 1, 0}}, 2),
              1)
        << "one is left";
    EXPECT_EQ(refused_too_early({until(20ms, acknowledged(1, 7)), until(10ms, refused(2))},
                                {{7, 1, 0}}, 1),
              1)
        << "it might have rolled back";
    EXPECT_EQ(refused_too_early({until(10ms, acknowledged(1, 7)), until(10ms, refused(2))},
                                {{7, 1, 0}}, 1),
              0)
        << "COMMIT was sent at 9, the refusal told at 10";
}

TEST(RefusedTooEarly, ACodeToldTwiceToItsUserIsGoneOnceAndWithTheFirstCommit) {
    const race_log log{until(20ms, acknowledged(1, 7)), until(10ms, acknowledged(1, 7)),
                       until(15ms, refused(2))};
    EXPECT_EQ(refused_too_early(log, {{7, 1, 0}}, 1), 0);
    EXPECT_EQ(refused_too_early(log, {{7, 1, 0}}, 2), 1);
}

TEST(RefusedTooEarly, WhoWasNeverToldMayHaveTheCode) {
    const race_log log{until(10ms, unknown(1)), until(20ms, refused(2))};
    EXPECT_EQ(refused_too_early(log, {}, 1), 1);
    EXPECT_EQ(refused_too_early(log, {{7, 1, 0}}, 1), 0);
}

TEST(ClaimVerdict, OneCodeForEachAndTheSameWhenAskedAgainPasses) {
    const judgement judged =
        judge_claims({until(10ms, acknowledged(1, 7)), until(12ms, acknowledged(1, 7)),
                      until(14ms, acknowledged(2, 8)), until(20ms, refused(3)),
                      until(5ms, made_by(4, outcome::rolled_back))},
                     {{7, 1, 0}, {8, 2, 0}}, 2);
    EXPECT_EQ(judged.verdict, verdict::pass) << judged.reason;
    EXPECT_EQ(judged.redeemed, 2);
}

TEST(ClaimVerdict, EachBrokenPromiseIsCounted) {
    const judgement judged = judge_claims(
        {until(1ms, acknowledged(1, 7)), until(2ms, acknowledged(2, 7)),
         until(3ms, acknowledged(3, 7)), until(4ms, acknowledged(4, 8)),
         until(4ms, acknowledged(4, 9)), until(5ms, refused(4)), until(6ms, acknowledged(5, 10)),
         until(7ms, made_by(6, outcome::rolled_back))},
        {{7, 3, 0}, {8, 4, 0}, {9, 4, 0}, {11, 6, 0}}, 12);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_FALSE(judged.failure_expected);
    EXPECT_EQ(count_of(judged, "given_to_several"), 1) << "the code 7, to three";
    EXPECT_EQ(count_of(judged, "users_with_several"), 1) << "the user 4";
    EXPECT_EQ(count_of(judged, "too_early"), 1) << "likewise, when codes were left";
    EXPECT_EQ(count_of(judged, "refused_to_holders"), 1);
    EXPECT_EQ(count_of(judged, "lost"), 1) << "the code 10";
    EXPECT_EQ(count_of(judged, "unasked"), 1) << "the user 6";
}

TEST(ClaimVerdict, OfOneThatPromisesNothingToUsersTheSameCodeTwiceIsExpected) {
    const race_log log{until(10ms, acknowledged(1, 7)), until(10ms, acknowledged(2, 7))};
    EXPECT_TRUE(judge_claims(log, {{7, 2, 0}}, 5, false).failure_expected);
    EXPECT_FALSE(judge_claims(log, {}, 5, false).failure_expected) << "the claims are lost";
}

TEST(ClaimUsers, OneInFiveRequestsIsTheSecondOfItsUser) {
    std::vector<std::int64_t> users;
    for (std::int64_t request = 1; request <= 10; ++request)
        users.push_back(user_of_request(request));
    EXPECT_EQ(users, (std::vector<std::int64_t>{1, 2, 3, 4, 4, 6, 7, 8, 9, 9}));
}

race_report claim_report() {
    race_report report = blank_report("claim");
    report.settings.buyers = 5;
    report.settings.cap = 2;
    const race_result shared = left_behind(
        {until(10ms, acknowledged(1, 1)), until(12ms, acknowledged(2, 1))}, {{1, 2, 0}});
    const race_result kept =
        left_behind({until(10ms, acknowledged(1, 1)), until(11ms, acknowledged(1, 1)),
                     until(12ms, acknowledged(2, 2)), until(20ms, refused(3)),
                     until(4ms, made_by(4, outcome::rolled_back))},
                    {{1, 1, 0}, {2, 2, 0}});
    for (const auto &[name, result] : {std::pair{"naive", shared}, {"claim_coupon", kept}})
        report.strategies.push_back(
            report_on(*report.raced, report.settings, strategy_of("claim", name), result));
    return report;
}

TEST(ClaimReport, HasItsOwnColumns) {
    const std::string text = as_text(claim_report(), charset::ascii, false);
    EXPECT_EQ(
        text.substr(0, text.find("\nlatency")),
        R"(claim: 5 requests of 4 users for a code each, 2 codes, 32 at once; 5.00 ms from claim to commit; 10% roll back
PostgreSQL 15.20, a throw-away server, fsync on, synchronous_commit on

strategy      requests  claimed  given to several  users with several  sold out too early  left unclaimed  wait  retries  errors      p50      p99  per second  verdict
naive                2        1                 1                   0                   0               1  0 us        0       0  10.0 ms  12.0 ms         167  FAIL, as expected
claim_coupon         5        2                 0                   0                   0               0  0 us        0       0  11.0 ms  20.0 ms         250  pass
)");
    EXPECT_NE(text.find("naive: 1 code given to several users.\n"
                        "claim_coupon: every code one user's, every user's code the same when "
                        "asked again, nobody sent away while one could come back.\n"),
              std::string::npos)
        << text;
}

TEST(ClaimReport, HasTheSameFiguresInJson) {
    const auto json = nlohmann::json::parse(as_json(claim_report()));
    EXPECT_EQ(json["scenario"], "claim");
    EXPECT_EQ(json["settings"]["cap"], 2);
    EXPECT_EQ(json["strategies"][0]["given_to_several"], 1);
    EXPECT_EQ(json["strategies"][0]["left_unclaimed"], 1);
    EXPECT_EQ(json["strategies"][0]["failure_expected"], true);
    const auto &kept = json["strategies"][1];
    EXPECT_EQ(kept["left_unclaimed"], 0);
    EXPECT_EQ(kept["rolled_back"], 1);
    EXPECT_EQ(kept["too_early"], 0);
    EXPECT_EQ(kept["verdict"], "pass");
}

TEST(ClaimReport, TheSameCodeForTheSameUserIsOneOnThePage) {
    const picture shown = claim_report().strategies.back().picture;
    ASSERT_EQ(shown.sales.size(), 2u);
    EXPECT_EQ(shown.sales.back().sold, 2);
    EXPECT_TRUE(std::all_of(shown.timeline.entries.begin(), shown.timeline.entries.end(),
                            [](const auto &each) { return each.wrong == excess::none; }));
}

} // namespace
