/// The scenario checkout on a real server: judged by what stands in the database when all is over.

#include <string_view>

#include <pqxx/pqxx>

#include "report/race_report.hpp"
#include "scenario/scenario.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;

race_settings hasty() {
    race_settings scenario;
    scenario.clients = 8;
    scenario.buyers = 120;
    scenario.cap = 20;
    scenario.walk_away_rate = 0.5;
    scenario.think_time = std::chrono::milliseconds{1};
    scenario.ttl = std::chrono::milliseconds{100};
    return scenario;
}

class Checkout : public DatabaseTest {
  protected:
    strategy_report sell(const strategy &by, const race_settings &settings) {
        const turn turn{by, settings, connection(), 7};
        checkout_.set_up(turn);
        return report_on(checkout_, settings, by, checkout_.run(turn));
    }

    const scenario &checkout_ = scenario_named("checkout");
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
    for (const auto &each : checkout_.strategies) {
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
    race_settings scenario = hasty();
    scenario.buyers = 8; // fewer than units
    scenario.walk_away_rate = 0;
    scenario.think_time = std::chrono::milliseconds{60};
    scenario.ttl = std::chrono::milliseconds{1};
    for (const auto &each : checkout_.strategies) {
        const strategy_report report = sell(*each, scenario);
        EXPECT_EQ(measured(report, "confirmed_too_late"), 8) << report.name;
        EXPECT_EQ(report.judged.redeemed, 0) << report.name;
        EXPECT_EQ(report.judged.verdict, verdict::pass) << report.name;
    }
}

/// A reservation that nobody sweeps up.
class unswept : public strategy {
  public:
    unswept()
        : strategy{"checkout/textbook"} {}
    std::string sweep() const override { return ""; }
};

TEST_F(Checkout, UnitsThatNeverComeBackAreSeen) {
    race_settings scenario = hasty();
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
