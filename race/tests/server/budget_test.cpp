/// The scenario budget on a real server: judged by the amounts that stand in the database when all
/// is over.

#include <pqxx/pqxx>

#include "report/race_report.hpp"
#include "scenario/scenario.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;

/// More of everything than any shop has.
race_settings stormy() {
    race_settings scenario;
    scenario.clients = 12;
    scenario.buyers = 300;
    scenario.budget = 100'000;
    scenario.max_amount = 2000;
    scenario.rollback_rate = 0.3;
    scenario.hold_time = std::chrono::microseconds{500};
    return scenario;
}

class Budget : public DatabaseTest {
  protected:
    strategy_report spend(const strategy &by, const race_settings &settings) {
        return spend(by, settings, connection());
    }
    strategy_report spend(const strategy &by, const race_settings &settings,
                          const std::string &database) {
        const turn turn{by, settings, database, 7};
        budget_.set_up(turn);
        return report_on(budget_, settings, by, budget_.run(turn));
    }

    const scenario &budget_ = scenario_named("budget");
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

TEST_F(Budget, EveryStrategyThatPromisesItSpendsItAndNoMore) {
    for (const auto &each : budget_.strategies) {
        if (!each->promises_once_per_user())
            continue;
        const race_database own{test_server().connection()};
        const strategy_report report = spend(*each, stormy(), own.connection());
        EXPECT_EQ(report.judged.verdict, verdict::pass)
            << report.name << ": " << report.judged.reason;
        EXPECT_EQ(report.attempts, 300) << report.name;
        EXPECT_GT(report.refused, 0) << report.name;
        EXPECT_GT(measured(report, "rolled_back"), 0) << report.name;
        EXPECT_EQ(report.errors, 0) << report.name;
        EXPECT_EQ(measured(report, "spent") + measured(report, "left_unspent"), 100'000)
            << report.name;
        EXPECT_LT(measured(report, "left_unspent"), 2000) << report.name;
    }
}

TEST_F(Budget, NobodyIsRefusedWhoseAmountIsThere) {
    race_settings scenario = stormy();
    scenario.budget = scenario.buyers * scenario.max_amount;
    for (const auto &each : budget_.strategies) {
        const race_database own{test_server().connection()};
        const strategy_report report = spend(*each, scenario, own.connection());
        EXPECT_EQ(report.refused, 0) << report.name;
        EXPECT_EQ(report.judged.verdict, verdict::pass) << report.name;
    }
}

TEST_F(Budget, LookingBeforeInsertingOverspends) {
    race_settings scenario = stormy();
    scenario.hold_time = std::chrono::milliseconds{20};
    const strategy_report report = spend(*budget_.strategy_named("naive"), scenario);
    EXPECT_GT(count(report, "overspent"), 0);
    EXPECT_EQ(count(report, "overspent"), measured(report, "spent") - 100'000);
    EXPECT_TRUE(report.judged.failure_expected);
}

// Strategies made to fail, so that the judge is seen to notice.

class generous : public strategy {
  public:
    using strategy::strategy;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override {
        transaction.exec("UPDATE coupon SET balance = balance + 500 WHERE balance < 2000");
        return strategy::take(transaction, asked);
    }
};

TEST_F(Budget, WhatIsTooMuchIsSeenInTheDatabase) {
    const strategy_report report = spend(generous{"budget/balance"}, stormy());
    EXPECT_GT(count(report, "overspent"), 0);
    EXPECT_GT(count(report, "broken_invariants"), 0) << "the balance";
    EXPECT_EQ(report.judged.verdict, verdict::fail);
    EXPECT_FALSE(report.judged.failure_expected);
}

/// Refuses whoever would have to wait.
class impatient : public strategy {
  public:
    using strategy::strategy;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override {
        if (transaction
                .exec("SELECT FROM coupon WHERE code = " + transaction.quote(asked.code) +
                      " FOR UPDATE SKIP LOCKED")
                .empty())
            return std::nullopt;
        return strategy::take(transaction, asked);
    }
};

TEST_F(Budget, WhoIsRefusedBecauseAnotherIsFasterIsSeen) {
    race_settings scenario = stormy();
    scenario.hold_time = std::chrono::milliseconds{20};
    const strategy_report report = spend(impatient{"budget/balance"}, scenario);
    EXPECT_GT(count(report, "false_refusals"), 0);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

class thrifty : public guarded_strategy {
  public:
    using guarded_strategy::guarded_strategy;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override {
        request less = asked;
        less.amount = (asked.amount + 1) / 2;
        return guarded_strategy::take(transaction, less);
    }
};

TEST_F(Budget, AnAmountThatNobodyWantedIsSeen) {
    const strategy_report report = spend(thrifty("as no shop should", false), stormy());
    EXPECT_GT(count(report, "wrong_amounts"), 0);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

} // namespace

} // namespace coupon_guard_tests
