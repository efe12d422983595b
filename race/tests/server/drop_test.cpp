/// The scenario drop on a real server: judged by what stands in the database when all is over.

#include <string_view>

#include <pqxx/pqxx>

#include "judge/drop_verdict.hpp"
#include "pqxx_compat.hpp"
#include "report/race_report.hpp"
#include "scenario/double_click.hpp"
#include "scenario/drop.hpp"
#include "strategies/ledger.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;

/// More of everything that can go wrong than any shop has.
drop stormy() {
    drop scenario;
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
    strategy_report sell(const drop_strategy &raced, const drop &scenario) {
        {
            pqxx::connection database{connection()};
            pqxx::work transaction{database};
            raced.set_up(transaction,
                         {{raced_code, scenario.cap}, {warm_up_code, scenario.clients}});
            transaction.commit();
        }
        const drop_result result =
            coupon_race::run(scenario, raced, connection(), 7, [](std::int64_t) {});
        return report_on(raced, result, read_ledger(connection(), raced.ledger_query(), raced_code),
                         scenario.cap, read_figure(connection(), raced.broken_invariants_query()));
    }
};

const drop_strategy &drop_strategy_named(std::string_view name) {
    for (const auto &each : drop_strategies())
        if (each->name() == name)
            return *each;
    throw std::invalid_argument{std::string{name}};
}

std::int64_t count(const strategy_report &report, const std::string &key) {
    for (const finding &found : report.judged.findings)
        if (found.key == key)
            return found.count;
    throw std::invalid_argument{key};
}

TEST_F(Drop, EveryStrategySellsEveryUnitOnceWhateverBreaks) {
    for (const auto &each : drop_strategies()) {
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
    drop scenario = stormy();
    scenario.kill_rate = 0.7;
    const strategy_report report = sell(drop_strategy_named("redeem_coupon"), scenario);
    EXPECT_EQ(report.judged.verdict, verdict::pass) << report.judged.reason;
    EXPECT_EQ(report.unknown_outcomes, 0);
    EXPECT_EQ(report.acknowledged, report.judged.redeemed);
}

TEST_F(Drop, WhoRollsBackBuysNothing) {
    drop scenario = stormy();
    scenario.rollback_rate = 1;
    scenario.kill_rate = 0;
    const strategy_report report = sell(drop_strategy_named("redeem_coupon"), scenario);
    EXPECT_EQ(report.judged.redeemed, 0);
    EXPECT_EQ(report.refused, 0) << "there was always a unit, or one that could come back";
    EXPECT_EQ(report.measures[0].count, 300);
    EXPECT_EQ(report.judged.verdict, verdict::pass);
}

/// Strategies made to fail, so that the judge is seen to notice.
class broken_drop : public drop_strategy {
  public:
    explicit broken_drop(const std::string &name)
        : sound_{drop_strategy_named(name)} {}
    std::string_view name() const override { return "broken"; }
    std::string_view method() const override { return "as no shop should"; }
    void set_up(pqxx::transaction_base &transaction,
                const std::vector<capped_coupon> &coupons) const override {
        sound_.set_up(transaction, coupons);
    }
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     const std::string &request_id) const override {
        return sound_.take(transaction, user, code, request_id);
    }
    std::string ledger_query() const override { return sound_.ledger_query(); }
    std::string broken_invariants_query() const override {
        return sound_.broken_invariants_query();
    }

  private:
    const drop_strategy &sound_;
};

/// Raises the cap whenever someone is refused.
class generous : public broken_drop {
  public:
    using broken_drop::broken_drop;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     const std::string &request_id) const override {
        transaction.exec("UPDATE counter.coupon SET max = max + 1 WHERE used = max");
        return broken_drop::take(transaction, user, code, request_id);
    }
};

/// Sends every third buyer away.
class unfriendly : public broken_drop {
  public:
    using broken_drop::broken_drop;
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     const std::string &request_id) const override {
        if (user % 3 == 0)
            return std::nullopt;
        return broken_drop::take(transaction, user, code, request_id);
    }
};

TEST_F(Drop, AUnitTooManyIsSeenInTheDatabase) {
    const strategy_report report = sell(generous{"counter"}, stormy());
    EXPECT_GT(count(report, "over_the_cap"), 0);
    EXPECT_EQ(count(report, "over_the_cap"), report.judged.redeemed - 60);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
    EXPECT_FALSE(report.judged.failure_expected);
}

TEST_F(Drop, ABuyerSentAwayWhileUnitsAreLeftIsSeen) {
    drop scenario = stormy();
    scenario.cap = 300; // never sold out
    const strategy_report report = sell(unfriendly{"redeem_coupon"}, scenario);
    EXPECT_EQ(count(report, "false_sold_outs"), 100);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

TEST_F(Drop, ACounterThatIsWrongIsSeen) {
    const drop_strategy &raced = drop_strategy_named("counter");
    drop scenario = stormy();
    scenario.clients = 2;
    scenario.buyers = 5;
    sell(raced, scenario);
    EXPECT_EQ(read_figure(connection(), raced.broken_invariants_query()), 0);
    run_sql(connection(), "UPDATE counter.coupon SET used = used + 1");
    EXPECT_GT(read_figure(connection(), raced.broken_invariants_query()), 0);
}

} // namespace

} // namespace coupon_guard_tests
