/// The scenario drop over shards, on servers of its own: judged by all their ledgers.

#include <algorithm>
#include <stdexcept>

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "place/shard_cluster.hpp"
#include "report/race_report.hpp"
#include "scenario/scenario.hpp"
#include "strategies/sharded.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

bool has_router() {
    return query(format_conninfo(test_server().connection()),
                 "SELECT count(*) = 2 FROM pg_available_extensions"
                 " WHERE name IN ('plproxy', 'coupon_guard_router')") == "t";
}

race_settings busy() {
    race_settings settings = scenario_named("drop").over_shards->defaults;
    settings.shards = 2;
    settings.clients = 8;
    settings.buyers = 300;
    settings.cap = 100;
    settings.skew = 0.9;
    settings.rollback_rate = 0.3;
    settings.hold_time = 500us;
    return settings;
}

class ShardedDrop : public testing::Test {
  protected:
    void SetUp() override {
        if (!has_router())
            GTEST_SKIP() << "no PL/Proxy, or no coupon_guard_router";
        shards_ =
            std::make_unique<shard_cluster>(find_postgres_programs({}), 2, 60, [](const auto &) {});
    }

    strategy_report sell(const strategy &by, const race_settings &settings) {
        const turn turn{
            by,           settings, format_conninfo(shards_->router()), 7, [](const auto &) {},
            shards_.get()};
        drop_.set_up(turn);
        return report_on(drop_, settings, by, drop_.run(turn));
    }

    const scenario &drop_ = *scenario_named("drop").over_shards;
    std::unique_ptr<shard_cluster> shards_;
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

TEST_F(ShardedDrop, SellsEveryUnitOnceThoughTheyAreWhereTheBuyersAreNot) {
    const strategy_report report = sell(*drop_.strategies.front(), busy());
    EXPECT_EQ(report.judged.verdict, verdict::pass) << report.judged.reason;
    EXPECT_EQ(report.judged.redeemed, 100);
    EXPECT_EQ(report.attempts, 300);
    EXPECT_EQ(report.errors, 0);
    EXPECT_EQ(report.unknown_outcomes, 0);
    EXPECT_EQ(measured(report, "connections_lost"), 0);
    EXPECT_GT(measured(report, "transfers"), 0) << "all units begin on the first shard";
    EXPECT_GT(measured(report, "rolled_back"), 0);
    EXPECT_GT(report.refused, 0);
}

TEST_F(ShardedDrop, SellsEveryUnitOnceWhateverBreaks) {
    race_settings settings = busy();
    settings.buyers = 460; // hardly more than want the units: to refuse one takes all shards
    settings.cap = 300;
    settings.hold_time = 50ms; // or it is over before enough has broken
    settings.crash_interval = 2s;
    settings.cut_interval = 500ms;
    const strategy_report report = sell(*drop_.strategies.front(), settings);
    EXPECT_EQ(report.judged.verdict, verdict::pass) << report.judged.reason;
    EXPECT_EQ(report.judged.redeemed, 300);
    EXPECT_EQ(report.acknowledged, 300) << "whoever lost the answer asked again";
    EXPECT_EQ(report.unknown_outcomes, 0);
    EXPECT_GT(measured(report, "crashes"), 0);
    EXPECT_GT(measured(report, "cuts"), 0);
    EXPECT_GT(measured(report, "connections_lost"), 0);
}

TEST_F(ShardedDrop, WhoRollsBackBuysNothingAndNobodyIsRefusedForIt) {
    race_settings settings = busy();
    settings.rollback_rate = 1;
    settings.buyers = 100;
    settings.cap = 3; // fewer than come at once
    const strategy_report report = sell(*drop_.strategies.front(), settings);
    EXPECT_EQ(report.judged.verdict, verdict::pass) << report.judged.reason;
    EXPECT_EQ(report.judged.redeemed, 0);
    EXPECT_EQ(report.refused, 0) << "there was always a unit, or one that could come back";
    EXPECT_EQ(measured(report, "rolled_back"), 100);
}

// Strategies made to fail, so that the judge is seen to notice.

/// Sends every third buyer away.
class unfriendly : public sharded_strategy {
  public:
    std::optional<std::int64_t> take(pqxx::transaction_base &router,
                                     const request &asked) const override {
        if (asked.user % 3 == 0)
            return std::nullopt;
        return sharded_strategy::take(router, asked);
    }
};

TEST_F(ShardedDrop, ABuyerSentAwayWhileUnitsAreLeftIsSeen) {
    race_settings settings = busy();
    settings.rollback_rate = 0;
    settings.cap = 300; // never sold out
    const strategy_report report = sell(unfriendly{}, settings);
    EXPECT_GT(count(report, "false_sold_outs"), 20);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

/// Gives a shard a right that nobody has parted with, now and then.
class generous : public sharded_strategy {
  public:
    explicit generous(const shard_cluster &shards)
        : shards_{shards} {}
    std::optional<std::int64_t> take(pqxx::transaction_base &router,
                                     const request &asked) const override {
        if (asked.user % 10 == 0)
            run_sql(format_conninfo(shards_.shard(1)),
                    "UPDATE sharded.coupon SET rights = rights + 1 WHERE rights IS NOT NULL");
        return sharded_strategy::take(router, asked);
    }

  private:
    const shard_cluster &shards_;
};

TEST_F(ShardedDrop, UnitsTooManyAreSeenThoughEachShardKeepsWhatItMayGive) {
    const strategy_report report = sell(generous{*shards_}, busy());
    EXPECT_GT(count(report, "over_the_cap"), 0);
    EXPECT_EQ(count(report, "over_the_cap"), report.judged.redeemed - 100);
    EXPECT_GT(count(report, "broken_invariants"), 0);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
}

} // namespace

} // namespace coupon_guard_tests
