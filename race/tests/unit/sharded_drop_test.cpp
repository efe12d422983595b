#include <algorithm>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "race_builders.hpp"
#include "report/forms.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

const scenario &over_shards() {
    return *scenario_named("drop").over_shards;
}

race_settings settings_for(int shards, std::int64_t buyers, double skew) {
    race_settings settings = over_shards().defaults;
    settings.shards = shards;
    settings.buyers = buyers;
    settings.skew = skew;
    return settings;
}

std::vector<sharded_buyer> buyers_of(const race_settings &settings, std::uint64_t seed = 7) {
    return sharded_buyers(settings, seed, [&](std::int64_t first, std::int64_t count) {
        std::vector<int> shards;
        for (std::int64_t user = first; user < first + count; ++user)
            shards.push_back(static_cast<int>(user % settings.shards));
        return shards;
    });
}

template <typename What>
int count_among(const std::vector<sharded_buyer> &buyers, What what) {
    return static_cast<int>(std::count_if(buyers.begin(), buyers.end(), what));
}

int count_on(const std::vector<sharded_buyer> &buyers, int shard) {
    return count_among(buyers, [&](const sharded_buyer &each) { return each.shard == shard; });
}

TEST(ShardedBuyers, EachIsAUserOfItsOwnAndOnThatUsersShard) {
    std::set<std::int64_t> users;
    for (const sharded_buyer &each : buyers_of(settings_for(4, 30'000, 0.9))) {
        EXPECT_EQ(each.shard, each.user % 4);
        EXPECT_TRUE(users.insert(each.user).second) << each.user;
    }
    EXPECT_EQ(users.size(), 30'000u) << "the users are asked for some at a time";
}

TEST(ShardedBuyers, WithoutSkewAreOnAllShardsAlike) {
    const auto buyers = buyers_of(settings_for(4, 10'000, 0));
    for (int shard = 0; shard < 4; ++shard)
        EXPECT_NEAR(count_on(buyers, shard), 2500, 200);
}

TEST(ShardedBuyers, WithSkewAreMostlyOnTheLastAndElsewhereAlike) {
    const auto buyers = buyers_of(settings_for(4, 10'000, 0.9));
    EXPECT_NEAR(count_on(buyers, 3), 9000, 150);
    for (int shard = 0; shard < 3; ++shard)
        EXPECT_NEAR(count_on(buyers, shard), 333, 80);
    EXPECT_EQ(count_on(buyers_of(settings_for(4, 100, 1)), 3), 100);
    EXPECT_EQ(count_on(buyers_of(settings_for(1, 100, 0.5)), 0), 100);
}

TEST(ShardedBuyers, HalfGoToTheRouterButNoneWhoRollsBack) {
    race_settings settings = settings_for(4, 10'000, 0.9);
    settings.rollback_rate = 0.2;
    const auto buyers = buyers_of(settings);
    const auto among = [&](auto what) { return count_among(buyers, what); };
    EXPECT_NEAR(among([](auto &each) { return each.rolls_back; }), 2000, 200);
    EXPECT_NEAR(among([](auto &each) { return !each.direct; }), 4000, 200);
    EXPECT_EQ(among([](auto &each) { return each.rolls_back && !each.direct; }), 0);
    EXPECT_NEAR(among([](auto &each) { return each.rolls_back && each.shard == 3; }), 1800, 200)
        << "on every shard alike";
}

TEST(ShardedBuyers, AreTheSameForTheSameSeed) {
    const race_settings settings = settings_for(2, 100, 0.5);
    const auto users = [&](std::uint64_t seed) {
        std::vector<std::int64_t> list;
        for (const sharded_buyer &each : buyers_of(settings, seed))
            list.push_back(each.user);
        return list;
    };
    EXPECT_EQ(users(7), users(7));
    EXPECT_NE(users(7), users(8));
}

/// COMMIT is sent one millisecond before the end.
attempt sold(std::int64_t user, std::int64_t redemption_id, std::chrono::milliseconds end) {
    attempt made = lasting(acknowledged(user, redemption_id), 0ms, end);
    made.commit_sent = made.ended - 1ms;
    return made;
}

judgement judge(race_log log, std::vector<ledger_row> ledger, std::int64_t cap) {
    race_settings settings = settings_for(2, 3, 0);
    settings.cap = cap;
    return over_shards().judge(left_behind(std::move(log), std::move(ledger)), settings, true);
}

constexpr std::int64_t on_shard_1 = std::int64_t{1} << 40;

TEST(ShardedDropVerdict, AllLedgersTogetherAreJudged) {
    const race_log log{sold(1, 1, 10ms), sold(2, on_shard_1, 10ms), lasting(refused(3), 11ms, 1ms)};
    EXPECT_EQ(judge(log, {{1, 1}, {on_shard_1, 2}}, 2).verdict, verdict::pass);
    EXPECT_EQ(count_of(judge(log, {{1, 1}, {on_shard_1, 2}, {on_shard_1 + 1, 3}}, 2), //
                       "over_the_cap"),
              1);
    EXPECT_EQ(count_of(judge(log, {{1, 1}, {on_shard_1, 2}, {on_shard_1 + 1, 1}}, 3),
                       "double_redemptions"),
              1)
        << "the same user, on two shards";
    EXPECT_EQ(count_of(judge(log, {{1, 1}}, 2), "lost"), 1) << "what a shard forgot in its crash";
    EXPECT_EQ(count_of(judge(log, {{1, 1}, {on_shard_1, 2}}, 3), "false_sold_outs"), 1)
        << "a unit was left on a shard";
}

TEST(ShardedDropReport, SaysWhatBefellTheShards) {
    race_report report = blank_report("drop");
    report.raced = &over_shards();
    report.settings = settings_for(2, 3, 0.9);
    report.settings.cap = 2;
    report.settings.crash_interval = 2s;
    report.settings.cut_interval = 500ms;
    race_result result =
        left_behind({sold(1, 1, 10ms), sold(2, on_shard_1, 10ms), lasting(refused(3), 11ms, 1ms)},
                    {{1, 1}, {on_shard_1, 2}});
    result.transfers = 5;
    result.crashes = 3;
    result.cuts = 4;
    result.log[1].connections_lost = 2;
    report.strategies = {
        report_on(*report.raced, report.settings, *report.raced->strategies.front(), result)};
    EXPECT_EQ(
        as_text(report, charset::ascii, false),
        R"(drop: 3 buyers for 2 units on 2 shards, 32 at once; 90% of them on one; 2.00 ms from redemption to commit; 10% roll back; a crash every 2.00 s; a cut every 500 ms
PostgreSQL 15.20, a throw-away server, fsync on, synchronous_commit on

strategy  buyers  sold  over the cap  false sold-outs  rolled back  transfers  crashes  cuts  lost  retries  errors      p50      p99  per second  verdict
sharded        3     2             0                0            0          5        3     4     2        0       0  10.0 ms  10.0 ms         250  pass

latency      p50      p95      p99  1 ms                    10 ms
sharded  10.0 ms  10.0 ms  10.0 ms  =                       #

sharded: never a unit too many on all shards together, nobody twice, nobody sent away while one was left.
)");
    const auto json = nlohmann::json::parse(as_json(report));
    EXPECT_EQ(json["settings"]["shards"], 2);
    EXPECT_EQ(json["settings"]["skew"], 0.9);
    EXPECT_EQ(json["settings"]["crash_interval_ms"], 2000.0);
    EXPECT_EQ(json["settings"]["cut_interval_ms"], 500.0);
    const auto &strategy = json["strategies"][0];
    EXPECT_EQ(strategy["transfers"], 5);
    EXPECT_EQ(strategy["crashes"], 3);
    EXPECT_EQ(strategy["cuts"], 4);
    EXPECT_EQ(strategy["connections_lost"], 2);
    EXPECT_EQ(strategy["verdict"], "pass");
}

} // namespace
