/// The scenario drop on a real server: judged by what stands in the database when all is over.

#include <string_view>

#include <pqxx/pqxx>

#include "report/race_report.hpp"
#include "scenario/scenario.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;

/// More of everything that can go wrong than any shop has.
race_settings stormy() {
    race_settings scenario;
    scenario.clients = 12;
    scenario.buyers = 300;
    scenario.cap = 60;
    scenario.rollback_rate = 0.3;
    scenario.kill_rate = 0.3;
    scenario.hold_time = std::chrono::microseconds{500};
    return scenario;
}

class Drop : public DatabaseTest {
  protected:
    strategy_report sell(const strategy &by, const race_settings &settings) {
        const turn turn{by, settings, connection(), 7};
        drop_.set_up(turn);
        return report_on(drop_, settings, by, drop_.run(turn));
    }

    const scenario &drop_ = scenario_named("drop");
};

std::int64_t count(const strategy_report &report, const std::string &key) {
    for (const finding &found : report.judged.findings)
        if (found.key == key)
            return found.count;
    throw std::invalid_argument{key};
}

TEST_F(Drop, EveryStrategySellsEveryUnitOnceWhateverBreaks) {
    for (const auto &each : drop_.strategies) {
        const strategy_report report = sell(*each, stormy());
        EXPECT_EQ(report.judged.verdict, verdict::pass)
            << report.name << ": " << report.judged.reason;
        EXPECT_EQ(report.judged.redeemed, 60) << report.name;
        EXPECT_EQ(report.attempts, 300) << report.name;
        EXPECT_GT(report.measures[1].count.value(), 0) << report.name << ": nobody was killed";
        EXPECT_EQ(report.errors, 0) << report.name;
    }
}

TEST_F(Drop, WithRequestIdsEveryBuyerIsToldWhatBecameOfThePurchase) {
    race_settings scenario = stormy();
    scenario.kill_rate = 0.7;
    const strategy_report report = sell(*drop_.strategy_named("redeem_coupon"), scenario);
    EXPECT_EQ(report.judged.verdict, verdict::pass) << report.judged.reason;
    EXPECT_EQ(report.unknown_outcomes, 0);
    EXPECT_EQ(report.acknowledged, report.judged.redeemed);
}

TEST_F(Drop, WhoRollsBackBuysNothing) {
    race_settings scenario = stormy();
    scenario.rollback_rate = 1;
    scenario.kill_rate = 0;
    const strategy_report report = sell(*drop_.strategy_named("redeem_coupon"), scenario);
    EXPECT_EQ(report.judged.redeemed, 0);
    EXPECT_EQ(report.refused, 0) << "there was always a unit, or one that could come back";
    EXPECT_EQ(report.measures[0].count, 300);
    EXPECT_EQ(report.judged.verdict, verdict::pass);
}

// Strategies made to fail, so that the judge is seen to notice.

/// Raises the cap whenever someone is refused.
class generous : public strategy {
  public:
    using strategy::strategy;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override {
        transaction.exec(
            "UPDATE coupon SET max_redemptions = max_redemptions + 1 WHERE used = max_redemptions");
        return strategy::take(transaction, asked);
    }
};

/// Sends every third buyer away.
class unfriendly : public guarded_strategy {
  public:
    using guarded_strategy::guarded_strategy;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override {
        if (asked.user % 3 == 0)
            return std::nullopt;
        return guarded_strategy::take(transaction, asked);
    }
};

TEST_F(Drop, AUnitTooManyIsSeenInTheDatabase) {
    const strategy_report report = sell(generous{"drop/counter"}, stormy());
    EXPECT_GT(count(report, "over_the_cap"), 0);
    EXPECT_EQ(count(report, "over_the_cap"), report.judged.redeemed - 60);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
    EXPECT_FALSE(report.judged.failure_expected);
}

TEST_F(Drop, ABuyerSentAwayWhileUnitsAreLeftIsSeen) {
    race_settings scenario = stormy();
    scenario.cap = 300; // never sold out
    const strategy_report report = sell(unfriendly("as no shop should", false), scenario);
    EXPECT_EQ(count(report, "false_sold_outs"), 100);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

TEST_F(Drop, ACounterThatIsWrongIsSeen) {
    const strategy &raced = *drop_.strategy_named("counter");
    race_settings scenario = stormy();
    scenario.clients = 2;
    scenario.buyers = 5;
    sell(raced, scenario);
    EXPECT_EQ(raced.figure(connection(), "broken"), 0);
    run_sql(connection(), "UPDATE counter.coupon SET used = used + 1");
    EXPECT_GT(raced.figure(connection(), "broken"), 0);
}

} // namespace

} // namespace coupon_guard_tests
