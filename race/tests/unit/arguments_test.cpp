#include "arguments.hpp"

#include <gtest/gtest.h>

namespace {

using namespace coupon_race;
using std::chrono::microseconds;

settings parsed(std::vector<std::string> arguments) {
    const parsed_arguments result = parse_arguments(std::move(arguments));
    EXPECT_FALSE(result.exit) << result.error;
    return result.settings;
}

void expect_bad(std::vector<std::string> arguments, const std::string &complaint) {
    const parsed_arguments result = parse_arguments(std::move(arguments));
    ASSERT_TRUE(result.exit) << complaint;
    EXPECT_EQ(*result.exit, 254);
    EXPECT_NE(result.error.find(complaint), std::string::npos) << result.error;
    EXPECT_EQ(result.output, "");
}

TEST(Arguments, NoneMeansEveryStrategyOnAThrowAwayServer) {
    const settings wanted = parsed({});
    EXPECT_FALSE(wanted.server);
    EXPECT_EQ(wanted.race.clients, 2);
    EXPECT_EQ(wanted.race.rounds, 200);
    EXPECT_EQ(wanted.race.think_time, microseconds{0});
    EXPECT_FALSE(wanted.seed);
    EXPECT_EQ(wanted.strategies, (std::vector<std::string>{"naive", "serializable", "for-update",
                                                           "unique", "redeem_coupon"}));
}

TEST(Arguments, AreTaken) {
    const settings wanted =
        parsed({"-c", "64", "--rounds", "1000", "-s", "redeem_coupon,naive", "--think-time", "2.5",
                "--seed", "7", "--json", "out.json", "--html", "out.html", "--color", "never",
                "--pg-bin", "/opt/pg/bin"});
    EXPECT_EQ(wanted.race.clients, 64);
    EXPECT_EQ(wanted.race.rounds, 1000);
    EXPECT_EQ(wanted.strategies, (std::vector<std::string>{"redeem_coupon", "naive"}));
    EXPECT_EQ(wanted.race.think_time, microseconds{2500});
    EXPECT_EQ(wanted.seed, 7u);
    EXPECT_EQ(wanted.json_file, "out.json");
    EXPECT_EQ(wanted.html_file, "out.html");
    EXPECT_EQ(wanted.colour, colour_choice::never);
    EXPECT_EQ(wanted.programs, "/opt/pg/bin");
}

TEST(Arguments, AConnectionStringNamesTheServer) {
    const settings wanted = parsed({"host=db dbname='my shop'"});
    EXPECT_EQ(wanted.server, (conninfo{{"host", "db"}, {"dbname", "my shop"}}));
}

TEST(Arguments, AUriNamesTheServer) {
    const settings wanted = parsed({"postgresql://ann@db:5433/shop"});
    EXPECT_EQ(wanted.server,
              (conninfo{{"host", "db"}, {"port", "5433"}, {"user", "ann"}, {"dbname", "shop"}}));
}

TEST(Arguments, OptionsOfPsqlNameTheServerAndOutdoTheString) {
    EXPECT_EQ(parsed({"-h", "db", "-p", "5433", "-U", "ann", "-d", "shop"}).server,
              (conninfo{{"host", "db"}, {"port", "5433"}, {"user", "ann"}, {"dbname", "shop"}}));
    EXPECT_EQ(parsed({"host=db user=ann", "-U", "bob"}).server,
              (conninfo{{"host", "db"}, {"user", "bob"}}));
}

TEST(Arguments, AnEmptyUriLeavesAllToTheEnvironment) {
    const settings wanted = parsed({"postgresql://"});
    ASSERT_TRUE(wanted.server);
    EXPECT_TRUE(wanted.server->empty());
}

TEST(Arguments, TheConnectionMayFollowAListOfStrategies) {
    const settings wanted = parsed({"--strategies", "naive,unique", "host=db"});
    EXPECT_EQ(wanted.strategies, (std::vector<std::string>{"naive", "unique"}));
    EXPECT_EQ(wanted.server, (conninfo{{"host", "db"}}));
}

TEST(Arguments, BadOnesExitWith254) {
    expect_bad({"--clients", "1"}, "--clients");
    expect_bad({"--clients", "two"}, "--clients");
    expect_bad({"--rounds", "0"}, "--rounds");
    expect_bad({"--think-time", "-1"}, "--think-time");
    expect_bad({"--strategies", "naive,hopeful"}, "hopeful");
    expect_bad({"--strategies", "naive,naive"}, "twice");
    expect_bad({"--color", "red"}, "--color");
    expect_bad({"--port", "70000"}, "--port");
    expect_bad({"--no-such-option"}, "--no-such-option");
    expect_bad({"host=db", "host=other"}, "host=other");
}

TEST(Arguments, ADropHasItsOwnDefaultsAndStrategies) {
    const settings wanted = parsed({"--scenario", "drop"});
    EXPECT_EQ(wanted.raced->name, "drop");
    EXPECT_EQ(wanted.race.clients, 32);
    EXPECT_EQ(wanted.race.buyers, 2000);
    EXPECT_EQ(wanted.race.cap, 500);
    EXPECT_EQ(wanted.race.hold_time, microseconds{2000});
    EXPECT_EQ(wanted.strategies,
              (std::vector<std::string>{"textbook", "counter", "for-update", "serializable",
                                        "redeem_coupon", "grouped"}));
}

TEST(Arguments, OfADropAreTaken) {
    const settings wanted =
        parsed({"--scenario", "drop", "--clients", "8", "--buyers", "90", "--cap", "7",
                "--hold-time", "0.5", "--rollback-rate", "0.25", "--kill-rate", "0.75"});
    EXPECT_EQ(wanted.race.clients, 8);
    EXPECT_EQ(wanted.race.buyers, 90);
    EXPECT_EQ(wanted.race.cap, 7);
    EXPECT_EQ(wanted.race.hold_time, microseconds{500});
    EXPECT_EQ(wanted.race.rollback_rate, 0.25);
    EXPECT_EQ(wanted.race.kill_rate, 0.75);
}

TEST(Arguments, ADropOverShardsHasSettingsAndAStrategyOfItsOwn) {
    const settings wanted = parsed({"--scenario", "drop", "--shards", "4"});
    EXPECT_EQ(wanted.raced, scenario_named("drop").over_shards.get());
    EXPECT_EQ(wanted.race.shards, 4);
    EXPECT_EQ(wanted.race.buyers, 2000);
    EXPECT_EQ(wanted.race.cap, 500);
    EXPECT_EQ(wanted.race.skew, 0);
    EXPECT_EQ(wanted.race.crash_interval, microseconds{0});
    EXPECT_EQ(wanted.race.cut_interval, microseconds{0});
    EXPECT_EQ(wanted.strategies, std::vector<std::string>{"sharded"});
}

TEST(Arguments, OfADropOverShardsAreTaken) {
    const settings wanted =
        parsed({"--scenario", "drop", "--shards", "2", "--skew", "0.9", "--kill-shards-every", "2",
                "--cut-every", "0.25", "--cap", "7"});
    EXPECT_EQ(wanted.race.skew, 0.9);
    EXPECT_EQ(wanted.race.crash_interval, microseconds{2'000'000});
    EXPECT_EQ(wanted.race.cut_interval, microseconds{250'000});
    EXPECT_EQ(wanted.race.cap, 7);
}

TEST(Arguments, OfShardsWhatDoesNotFitExitsWith254) {
    expect_bad({"--shards", "2"}, "--shards is not for the scenario double-click");
    expect_bad({"--scenario", "claim", "--shards", "2"}, "--shards is not for the scenario claim");
    expect_bad({"--scenario", "claim", "--skew", "0.5"}, "--skew is not for the scenario claim");
    expect_bad({"--scenario", "drop", "--skew", "0.5"}, "--skew needs --shards");
    expect_bad({"--scenario", "drop", "--cut-every", "1"}, "--cut-every needs --shards");
    expect_bad({"--scenario", "drop", "--shards", "2", "--kill-rate", "0.1"},
               "--kill-rate is not for the scenario drop with --shards");
    expect_bad({"--scenario", "drop", "--shards", "0"}, "--shards");
    expect_bad({"--scenario", "drop", "--shards", "2", "--strategies", "textbook"},
               "drop has no strategy textbook");
    expect_bad({"--scenario", "drop", "--shards", "2", "host=db"},
               "--shards is for throw-away servers");
}

TEST(Arguments, ACheckoutHasItsOwnDefaultsAndStrategies) {
    const settings wanted = parsed({"--scenario", "checkout"});
    EXPECT_EQ(wanted.race.clients, 32);
    EXPECT_EQ(wanted.race.buyers, 1000);
    EXPECT_EQ(wanted.race.cap, 200);
    EXPECT_EQ(wanted.race.think_time, microseconds{20000});
    EXPECT_EQ(wanted.race.ttl, microseconds{200000});
    EXPECT_EQ(wanted.strategies, (std::vector<std::string>{"textbook", "redeem_coupon"}));
}

TEST(Arguments, OfACheckoutAreTaken) {
    const settings wanted =
        parsed({"--scenario", "checkout", "-c", "8", "--buyers", "90", "--cap", "7", "--think-time",
                "1.5", "--ttl", "60", "--walk-away-rate", "0.5"});
    EXPECT_EQ(wanted.race.clients, 8);
    EXPECT_EQ(wanted.race.buyers, 90);
    EXPECT_EQ(wanted.race.cap, 7);
    EXPECT_EQ(wanted.race.think_time, microseconds{1500});
    EXPECT_EQ(wanted.race.ttl, microseconds{60000});
    EXPECT_EQ(wanted.race.walk_away_rate, 0.5);
}

TEST(Arguments, ABudgetHasItsOwnDefaultsAndStrategies) {
    const settings wanted = parsed({"--scenario", "budget"});
    EXPECT_EQ(wanted.race.clients, 32);
    EXPECT_EQ(wanted.race.buyers, 1000);
    EXPECT_EQ(wanted.race.budget, 1000000);
    EXPECT_EQ(wanted.race.max_amount, 5000);
    EXPECT_EQ(wanted.race.rollback_rate, 0.1);
    EXPECT_EQ(wanted.race.cap, 0);
    EXPECT_EQ(wanted.strategies, (std::vector<std::string>{"naive", "balance", "for-update",
                                                           "serializable", "redeem_coupon"}));
}

TEST(Arguments, OfABudgetAreTaken) {
    const settings wanted =
        parsed({"--scenario", "budget", "-c", "8", "--buyers", "90", "--budget", "700",
                "--max-amount", "60", "--hold-time", "0.5", "--rollback-rate", "0.25"});
    EXPECT_EQ(wanted.race.buyers, 90);
    EXPECT_EQ(wanted.race.budget, 700);
    EXPECT_EQ(wanted.race.max_amount, 60);
    EXPECT_EQ(wanted.race.hold_time, microseconds{500});
    EXPECT_EQ(wanted.race.rollback_rate, 0.25);
}

TEST(Arguments, ClaimsHaveTheirOwnDefaultsAndStrategies) {
    const settings wanted = parsed({"--scenario", "claim"});
    EXPECT_EQ(wanted.race.clients, 32);
    EXPECT_EQ(wanted.race.buyers, 600);
    EXPECT_EQ(wanted.race.cap, 300);
    EXPECT_EQ(wanted.race.hold_time, microseconds{5000});
    EXPECT_EQ(wanted.strategies,
              (std::vector<std::string>{"naive", "for-update", "skip-locked", "claim_coupon"}));
    EXPECT_EQ(parsed({"--scenario", "claim", "--hold-time", "0"}).race.hold_time, microseconds{0});
}

TEST(Arguments, WhatAnotherScenarioTakesExitsWith254) {
    expect_bad({"--scenario", "claim", "--budget", "5"}, "--budget is not for the scenario claim");
    expect_bad({"--scenario", "hurry"}, "--scenario");
    expect_bad({"--cap", "7"}, "--cap is not for the scenario double-click");
    expect_bad({"--scenario", "drop", "--rounds", "7"}, "--rounds is not for the scenario drop");
    expect_bad({"--scenario", "drop", "--strategies", "naive"}, "drop has no strategy naive");
    expect_bad({"--scenario", "drop", "--rollback-rate", "0.6", "--kill-rate", "0.5"},
               "more than 1");
    expect_bad({"--scenario", "drop", "--cap", "0"}, "--cap");
    expect_bad({"--scenario", "drop", "--ttl", "5"}, "--ttl is not for the scenario drop");
    expect_bad({"--scenario", "checkout", "--kill-rate", "0.1"}, "--kill-rate is not for");
    expect_bad({"--scenario", "budget", "--cap", "5"}, "--cap is not for the scenario budget");
    expect_bad({"--scenario", "budget", "--max-amount", "0"}, "--max-amount");
    expect_bad({"--scenario", "drop", "--budget", "5"}, "--budget is not for the scenario drop");
}

TEST(Arguments, TwoResultsInOnePlaceExitWith254) {
    expect_bad({"--json", "out", "--html", "out"}, "--json and --html name the same file");
    expect_bad({"--json", "-", "--html", "-"}, "--json and --html name the same file");
}

TEST(Arguments, WhatIsNoConnectionStringExitsWith254) {
    expect_bad({"naive"}, "naive");
    expect_bad({"hots=db"}, "hots");
    expect_bad({"host=db", "--pg-bin", "/opt/pg/bin"}, "--pg-bin");
}

TEST(Arguments, HelpAndVersionExitWithZeroOnStdout) {
    const parsed_arguments help = parse_arguments({"--help"});
    EXPECT_EQ(help.exit, 0);
    EXPECT_NE(help.output.find("redeem_coupon"), std::string::npos);
    EXPECT_NE(help.output.find("redeem_coupon, grouped: all buyers share one group_client"),
              std::string::npos);
    EXPECT_EQ(help.error, "");
    const parsed_arguments version = parse_arguments({"--version"});
    EXPECT_EQ(version.exit, 0);
    EXPECT_EQ(version.output.substr(0, 12), "coupon-race ");
}

} // namespace
