/// The scenario drop on a real server: judged by what stands in the database when all is over.

#include <string_view>

#include <pqxx/pqxx>

#include "report/race_report.hpp"
#include "scenario/bystander.hpp"
#include "scenario/scenario.hpp"
#include "strategies/grouped.hpp"
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
        return sell(by, settings, connection());
    }
    strategy_report sell(const strategy &by, const race_settings &settings,
                         const std::string &database) {
        const turn turn{by, settings, database, 7};
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
        const race_database own{test_server().connection()}; // two have the extension
        const strategy_report report = sell(*each, stormy(), own.connection());
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
    for (const char *name : {"redeem_coupon", "grouped"}) {
        const race_database own{test_server().connection()};
        const strategy_report report =
            sell(*drop_.strategy_named(name), scenario, own.connection());
        EXPECT_EQ(report.judged.verdict, verdict::pass) << name << ": " << report.judged.reason;
        EXPECT_EQ(report.unknown_outcomes, 0) << name;
        EXPECT_EQ(report.acknowledged, report.judged.redeemed) << name;
    }
}

TEST_F(Drop, WhoRollsBackBuysNothing) {
    race_settings scenario = stormy();
    scenario.rollback_rate = 1;
    scenario.kill_rate = 0;
    for (const char *name : {"redeem_coupon", "grouped"}) {
        const race_database own{test_server().connection()};
        const strategy_report report =
            sell(*drop_.strategy_named(name), scenario, own.connection());
        EXPECT_EQ(report.judged.redeemed, 0) << name;
        EXPECT_EQ(report.refused, 0) << "there was always a unit, or one that could come back";
        EXPECT_EQ(report.measures[0].count, 300) << name;
        EXPECT_EQ(report.judged.verdict, verdict::pass) << name;
    }
}

/// How many sessions of the database have ended, when all but this one have.
std::int64_t sessions_ended(const std::string &connection) {
    pqxx::connection last{connection};
    pqxx::nontransaction look{last};
    const auto number = [&](const char *query) {
        return look.exec(query)[0][0].as<std::int64_t>();
    };
    const auto deadline = race_clock::now() + std::chrono::seconds{20};
    while (number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                  " AND backend_type = 'client backend'") > 1)
        if (race_clock::now() > deadline)
            throw std::runtime_error{"a session has not ended"};
    // A session is counted when it ends, at the latest; this one perhaps earlier.
    return number("SELECT sessions FROM pg_stat_database WHERE datname = current_database()");
}

TEST_F(Drop, GroupedBuyersWhoOnlyRedeemOpenNoConnections) {
    race_settings scenario = stormy();
    scenario.clients = 30;
    scenario.rollback_rate = 0;
    scenario.kill_rate = 0;
    const strategy &grouped = *drop_.strategy_named("grouped");
    drop_.set_up({grouped, scenario, connection(), 7});
    const std::int64_t before = sessions_ended(connection());
    const race_result result = drop_.run({grouped, scenario, connection(), 7});
    const int reads = 3 + 2; // the ledger and two figures; and both counts
    const std::int64_t opened = sessions_ended(connection()) - before;
    EXPECT_LE(opened, grouped.shared_connections() + most_bystanders + reads);
    EXPECT_GE(opened, 3 + 1) << "what is counted is none of the race's";
    EXPECT_EQ(result.ledger.size(), 60u);
    for (const attempt &made : result.log)
        EXPECT_EQ(made.connections_lost, 0);
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

/// Tells every third buyer of a redemption that was never made.
class forgetful : public grouped_strategy {
    class invention : public shared_client {
      public:
        explicit invention(std::unique_ptr<shared_client> honest)
            : honest_{std::move(honest)} {}
        std::optional<std::int64_t> take(const request &asked, attempt &made) override {
            return asked.user % 3 == 0 ? 1'000'000 + asked.user : honest_->take(asked, made);
        }

      private:
        std::unique_ptr<shared_client> honest_;
    };

  public:
    std::unique_ptr<shared_client> share(const std::string &connection) const override {
        return std::make_unique<invention>(grouped_strategy::share(connection));
    }
};

TEST_F(Drop, WhatGroupedBuyersWereToldIsLookedForInTheLedger) {
    race_settings scenario = stormy();
    scenario.cap = 300;
    scenario.rollback_rate = 0;
    const strategy_report report = sell(forgetful{}, scenario);
    EXPECT_EQ(count(report, "lost"), 100);
    EXPECT_EQ(report.judged.redeemed, 200);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

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
