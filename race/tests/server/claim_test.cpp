/// The scenario claim on a real server: judged by who holds which code when all is over.

#include <pqxx/pqxx>

#include "report/race_report.hpp"
#include "scenario/scenario.hpp"
#include "strategies/claiming.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;

/// More of everything than any shop has.
race_settings stormy() {
    race_settings scenario;
    scenario.clients = 12;
    scenario.buyers = 300;
    scenario.cap = 150;
    scenario.rollback_rate = 0.3;
    scenario.hold_time = std::chrono::microseconds{500};
    return scenario;
}

class Claims : public DatabaseTest {
  protected:
    strategy_report race(const strategy &by, const race_settings &settings) {
        const turn turn{by, settings, connection(), 7};
        claim_.set_up(turn);
        return report_on(claim_, settings, by, claim_.run(turn));
    }
    strategy_report race(const char *by, const race_settings &settings) {
        return race(*claim_.strategy_named(by), settings);
    }

    const scenario &claim_ = scenario_named("claim");
};

std::int64_t count(const strategy_report &report, const std::string &key) {
    for (const finding &found : report.judged.findings)
        if (found.key == key)
            return found.count;
    throw std::invalid_argument{key};
}

std::int64_t measured(const strategy_report &report, const std::string &key) {
    for (const measure &each : report.measures)
        if (each.key == key)
            return each.count.value();
    throw std::invalid_argument{key};
}

TEST_F(Claims, EachCodeIsOneUsersAndEachUserHasOneUntilAllAreGone) {
    const strategy_report report = race("claim_coupon", stormy());
    EXPECT_EQ(report.judged.verdict, verdict::pass) << report.judged.reason;
    EXPECT_EQ(report.attempts, 300);
    EXPECT_EQ(report.errors, 0);
    EXPECT_GT(report.refused, 0);
    EXPECT_GT(measured(report, "rolled_back"), 0);
    EXPECT_EQ(measured(report, "left_unclaimed"), 0);
    EXPECT_GT(report.acknowledged, report.judged.redeemed) << "some were told twice";
}

TEST_F(Claims, NobodyIsRefusedWhereThereIsACodeForEach) {
    race_settings scenario = stormy();
    scenario.cap = scenario.buyers;
    for (const auto &each : claim_.strategies) {
        const strategy_report report = race(*each, scenario);
        EXPECT_EQ(report.refused, 0) << report.name;
        EXPECT_EQ(report.errors, 0) << report.name;
        EXPECT_EQ(count(report, "lost"), 0) << report.name;
        EXPECT_EQ(count(report, "unasked"), 0) << report.name;
    }
}

TEST_F(Claims, LookingBeforeWritingGivesOneCodeToSeveral) {
    const strategy_report report = race("naive", stormy());
    EXPECT_GT(count(report, "given_to_several"), 0);
    EXPECT_TRUE(report.judged.failure_expected);
}

TEST_F(Claims, LockingTheFirstFreeCodeGivesEachOnce) {
    const strategy_report report = race("for-update", stormy());
    EXPECT_EQ(count(report, "given_to_several"), 0);
    EXPECT_EQ(count(report, "too_early"), 0);
    EXPECT_EQ(measured(report, "left_unclaimed"), 0);
}

TEST_F(Claims, PassingOverWhatIsLockedSendsAwayTooEarlyAndGivesAUserTwo) {
    race_settings scenario = stormy();
    scenario.hold_time = std::chrono::milliseconds{20};
    const strategy_report report = race("skip-locked", scenario);
    EXPECT_GT(count(report, "too_early"), 0);
    EXPECT_GT(count(report, "users_with_several"), 0);
    EXPECT_EQ(count(report, "given_to_several"), 0);
    EXPECT_TRUE(report.judged.failure_expected);
}

// A strategy made to fail, so that the judge is seen to notice.

/// Makes the first free code the user's, of which somebody else has been told.
class careless : public claiming_strategy {
  public:
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override {
        const auto got = claiming_strategy::take(transaction, asked);
        transaction.exec("UPDATE coupon SET holder = NULL WHERE id % 10 = 0 AND holder <> '" +
                         std::to_string(asked.user) + "'");
        return got;
    }
};

TEST_F(Claims, ACodeThatIsTakenAwayIsSeenInTheDatabase) {
    race_settings scenario = stormy();
    scenario.rollback_rate = 0;
    scenario.cap = 300;
    const strategy_report report = race(careless{}, scenario);
    EXPECT_GT(count(report, "lost") + count(report, "given_to_several"), 0);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
    EXPECT_FALSE(report.judged.failure_expected);
}

} // namespace

} // namespace coupon_guard_tests
