/// The scenario checkout on a real server: judged by what stands in the database when all is over.

#include <string_view>

#include <pqxx/pqxx>

#include "judge/checkout_verdict.hpp"
#include "report/race_report.hpp"
#include "scenario/checkout.hpp"
#include "scenario/double_click.hpp"
#include "strategies/ledger.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;

checkout hasty() {
    checkout scenario;
    scenario.clients = 8;
    scenario.buyers = 120;
    scenario.cap = 20;
    scenario.walk_away_rate = 0.5;
    scenario.think_time = std::chrono::milliseconds{1};
    scenario.ttl = std::chrono::milliseconds{100};
    return scenario;
}

const checkout_strategy &checkout_strategy_named(std::string_view name) {
    for (const auto &each : checkout_strategies())
        if (each->name() == name)
            return *each;
    throw std::invalid_argument{std::string{name}};
}

class Checkout : public DatabaseTest {
  protected:
    strategy_report sell(const checkout_strategy &raced, const checkout &scenario) {
        {
            pqxx::connection database{connection()};
            pqxx::work transaction{database};
            raced.set_up(transaction,
                         {{raced_code, scenario.cap}, {warm_up_code, scenario.clients}});
            transaction.commit();
        }
        const checkout_log log =
            coupon_race::run(scenario, raced, connection(), 7, [](std::int64_t) {});
        return report_on(raced, log, read_ledger(connection(), raced.ledger_query(), raced_code),
                         scenario.cap, read_figure(connection(), raced.came_back_query()),
                         read_figure(connection(), raced.broken_invariants_query()));
    }
};

std::int64_t measured(const strategy_report &report, const std::string &key) {
    for (const measure &each : report.measures)
        if (each.key == key)
            return each.count.value();
    throw std::invalid_argument{key};
}

std::int64_t count(const strategy_report &report, const std::string &key) {
    for (const finding &found : report.judged.findings)
        if (found.key == key)
            return found.count;
    throw std::invalid_argument{key};
}

TEST_F(Checkout, WhatIsAbandonedIsSoldAgainUntilEveryUnitIsConfirmed) {
    for (const auto &each : checkout_strategies()) {
        const strategy_report report = sell(*each, hasty());
        EXPECT_EQ(report.judged.verdict, verdict::pass)
            << report.name << ": " << report.judged.reason;
        EXPECT_EQ(report.attempts, 120) << report.name;
        EXPECT_EQ(report.errors, 0) << report.name;
        // Of a slow machine a hold may expire while it is thought over: then it is sold again too.
        EXPECT_EQ(report.judged.redeemed, 20) << report.name;
        EXPECT_GT(measured(report, "came_back"), 0) << report.name;
    }
}

TEST_F(Checkout, WhoThinksLongerThanTheHoldLastsIsTooLate) {
    checkout scenario = hasty();
    scenario.buyers = 8; // fewer than units
    scenario.walk_away_rate = 0;
    scenario.think_time = std::chrono::milliseconds{60};
    scenario.ttl = std::chrono::milliseconds{1};
    for (const auto &each : checkout_strategies()) {
        const strategy_report report = sell(*each, scenario);
        EXPECT_EQ(measured(report, "confirmed_too_late"), 8) << report.name;
        EXPECT_EQ(report.judged.redeemed, 0) << report.name;
        EXPECT_EQ(report.judged.verdict, verdict::pass) << report.name;
    }
}

/// A reservation that nobody sweeps up.
class unswept : public checkout_strategy {
  public:
    std::string_view name() const override { return "unswept"; }
    std::string_view method() const override { return "as no shop should"; }
    void set_up(pqxx::transaction_base &transaction,
                const std::vector<capped_coupon> &coupons) const override {
        sound_.set_up(transaction, coupons);
    }
    std::optional<std::int64_t> hold(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     std::chrono::microseconds ttl) const override {
        return sound_.hold(transaction, user, code, ttl);
    }
    bool confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const override {
        return sound_.confirm(transaction, redemption_id);
    }
    std::string ledger_query() const override { return sound_.ledger_query(); }
    std::string came_back_query() const override { return sound_.came_back_query(); }
    std::string broken_invariants_query() const override {
        return sound_.broken_invariants_query();
    }

  private:
    const checkout_strategy &sound_ = checkout_strategy_named("textbook");
};

TEST_F(Checkout, UnitsThatNeverComeBackAreSeen) {
    checkout scenario = hasty();
    scenario.buyers = 40;
    scenario.cap = 10;
    scenario.ttl = std::chrono::milliseconds{10};
    scenario.patience = std::chrono::milliseconds{50};
    const strategy_report report = sell(unswept{}, scenario);
    EXPECT_EQ(measured(report, "came_back"), 0);
    EXPECT_GT(count(report, "left_unsold"), 0);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

} // namespace

} // namespace coupon_guard_tests
