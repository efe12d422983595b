/// The program coupon-race as a user has it: what it prints, leaves behind and exits with.

#include <csignal>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "guarded_test.hpp"
#include "program_fixture.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;
using nlohmann::json;

bool alive(pid_t pid) {
    return kill(pid, 0) == 0;
}

json strategy_in(const json &result, const std::string &name) {
    for (const json &each : result["strategies"])
        if (each["name"] == name)
            return each;
    throw std::invalid_argument{name};
}

TEST_F(Program, ShowsTheRaceAndItsCureOnAServerOfItsOwn) {
    // 20 ms is an age for two requests that were let go together.
    ASSERT_EQ(run({"--rounds", "10", "--think-time", "20", "--json", "result.json"}), 0)
        << output() << errors();
    const json got = result();
    EXPECT_EQ(got["server"]["throwaway"], true);
    EXPECT_EQ(got["server"]["fsync"], true) << "or its figures would flatter";
    EXPECT_EQ(got["exit_status"], 0);
    const json naive = strategy_in(got, "naive");
    EXPECT_GT(naive["double_redemptions"], 0);
    EXPECT_EQ(naive["verdict"], "fail");
    for (const char *name : {"serializable", "for-update", "unique", "redeem_coupon"}) {
        const json safe = strategy_in(got, name);
        EXPECT_EQ(safe["verdict"], "pass") << name;
        EXPECT_EQ(safe["attempts"], 20) << name;
        EXPECT_EQ(safe["redeemed"], 10) << name;
        EXPECT_EQ(safe["double_redemptions"], 0) << name;
        EXPECT_EQ(safe["errors"], 0) << name;
    }
    EXPECT_NE(output().find("FAIL, as expected"), std::string::npos) << output();
    expect_nothing_left();
}

TEST_F(Program, ADropSellsEveryUnitOnce) {
    ASSERT_EQ(run({"--scenario", "drop", "--clients", "8", "--buyers", "200", "--cap", "50",
                   "--kill-rate", "0.1", "--json", "result.json"}),
              0)
        << output() << errors();
    const json got = result();
    EXPECT_EQ(got["settings"]["cap"], 50);
    for (const char *name :
         {"textbook", "counter", "for-update", "serializable", "redeem_coupon", "grouped"}) {
        EXPECT_EQ(strategy_in(got, name)["verdict"], "pass") << name;
        EXPECT_EQ(strategy_in(got, name)["redeemed"], 50) << name;
    }
    for (const char *name : {"redeem_coupon", "grouped"})
        EXPECT_EQ(strategy_in(got, name)["unknown_outcomes"], 0) << name;
    EXPECT_NE(output().find("false sold-outs"), std::string::npos) << output();
    expect_nothing_left();
}

TEST_F(Program, ACheckoutSellsAbandonedUnitsAgain) {
    ASSERT_EQ(run({"--scenario", "checkout", "--clients", "8", "--buyers", "100", "--cap", "20",
                   "--think-time", "1", "--ttl", "100", "--walk-away-rate", "0.5", "--json",
                   "result.json"}),
              0)
        << output() << errors();
    const json got = result();
    EXPECT_EQ(got["settings"]["ttl_ms"], 100.0);
    for (const char *name : {"textbook", "redeem_coupon"}) {
        EXPECT_EQ(strategy_in(got, name)["verdict"], "pass") << name;
        EXPECT_GT(strategy_in(got, name)["came_back"], 0) << name;
    }
    EXPECT_NE(output().find("left unsold"), std::string::npos) << output();
    expect_nothing_left();
}

TEST_F(Program, ABudgetIsSpentAndNoMore) {
    ASSERT_EQ(run({"--scenario", "budget", "--clients", "8", "--buyers", "100", "--budget", "20000",
                   "--max-amount", "1000", "--hold-time", "5", "--json", "result.json"}),
              0)
        << output() << errors();
    const json got = result();
    EXPECT_EQ(got["settings"]["budget"], 20000);
    EXPECT_GT(strategy_in(got, "naive")["overspent"], 0);
    for (const char *name : {"balance", "for-update", "serializable", "redeem_coupon"}) {
        EXPECT_EQ(strategy_in(got, name)["verdict"], "pass") << name;
        EXPECT_LE(strategy_in(got, name)["spent"], 20000) << name;
    }
    EXPECT_NE(output().find("left unspent"), std::string::npos) << output();
    expect_nothing_left();
}

TEST_F(Program, KeepsAPipeFreeOfProgressAndColour) {
    ASSERT_EQ(run({"--rounds", "2", "--strategies", "unique"}), 0) << errors();
    EXPECT_EQ(output().find('\033'), std::string::npos) << output();
    EXPECT_EQ(errors(), "");
}

TEST_F(Program, PutsJsonAloneOnStdoutWhenAsked) {
    ASSERT_EQ(run({"--rounds", "2", "--strategies", "unique", "--json", "-"}), 0) << errors();
    EXPECT_EQ(json::parse(output())["strategies"].size(), 1u);
    EXPECT_NE(errors().find("verdict"), std::string::npos) << "the table goes to stderr";
}

TEST_F(Program, WritesAPageForABrowserWholeOrNotAtAll) {
    ASSERT_EQ(run({"--rounds", "2", "--strategies", "unique", "--html", "race.html"}), 0)
        << errors();
    const std::string page = contents(file("race.html"));
    EXPECT_EQ(page.substr(0, 15), "<!DOCTYPE html>");
    EXPECT_EQ(page.substr(page.size() - 8), "</html>\n");
    EXPECT_FALSE(fs::exists(file("race.html.part")));
    EXPECT_NE(output().find("verdict"), std::string::npos) << "the table is printed all the same";
}

TEST_F(Program, PutsThePageAloneOnStdoutWhenAsked) {
    ASSERT_EQ(run({"--rounds", "2", "--strategies", "unique", "--html", "-"}), 0) << errors();
    EXPECT_EQ(output().substr(0, 15), "<!DOCTYPE html>");
    EXPECT_NE(errors().find("verdict"), std::string::npos) << "the table goes to stderr";
}

TEST_F(Program, AFileThatCannotBeWrittenExitsWith254BeforeTheRace) {
    for (const char *option : {"--html", "--json"}) {
        EXPECT_EQ(run({option, "no/such/directory/race"}), 254) << option;
        EXPECT_NE(errors().find("cannot write no/such/directory/race"), std::string::npos);
        EXPECT_EQ(output(), "") << "the race was run";
    }
    expect_nothing_left();
}

TEST_F(Program, AnInterruptedRunLeavesThePageOfTheLastOne) {
    std::ofstream{file("race.html")} << "the last one";
    const auto program =
        start({"--rounds", "10000000", "--strategies", "unique", "--html", "race.html"});
    ASSERT_GT(server_of_the_run(), 0) << errors();
    program->signal(SIGINT);
    EXPECT_EQ(program->wait_for(30s), 128 + SIGINT);
    EXPECT_EQ(contents(file("race.html")), "the last one");
    EXPECT_FALSE(fs::exists(file("race.html.part")));
}

TEST_F(Program, BadArgumentsExitWith254BeforeAnythingStarts) {
    EXPECT_EQ(run({"--clients", "1"}), 254);
    EXPECT_EQ(output(), "");
    expect_nothing_left();
}

TEST_F(Program, AServerThatCannotBeStartedExitsWith2) {
    EXPECT_EQ(run({"--pg-bin", "/nowhere/at/all"}), 2);
    EXPECT_NE(errors().find("/nowhere/at/all"), std::string::npos) << errors();
    expect_nothing_left();
}

TEST_F(Program, SomeoneElsesSettingsDoNotReachItsOwnServer) {
    setenv("PGSERVICE", "no such service", 1);
    setenv("PGPORT", "1", 1);
    setenv("PGOPTIONS", "-c default_transaction_read_only=on", 1);
    EXPECT_EQ(run({"--rounds", "2", "--strategies", "unique"}), 0) << errors();
    unsetenv("PGSERVICE");
    unsetenv("PGPORT");
    unsetenv("PGOPTIONS");
}

TEST_F(Program, RunsAsAnOrdinaryUser) {
    // As root it drops to such a user for the server alone; here all of it is one. For who is not
    // root every other test shows the same.
    EXPECT_EQ(run({"--rounds", "2"}, server_account()), 0) << errors();
    expect_nothing_left();
}

TEST_F(Program, CtrlCStopsAndRemovesTheServer) {
    const auto program = start({"--rounds", "10000000", "--strategies", "unique"});
    const pid_t server = server_of_the_run();
    ASSERT_GT(server, 0) << errors();
    program->signal(SIGINT);
    EXPECT_EQ(program->wait_for(30s), 128 + SIGINT);
    EXPECT_FALSE(alive(server));
    EXPECT_NE(errors().find("interrupted"), std::string::npos) << errors();
    EXPECT_EQ(output(), "");
    expect_nothing_left();
}

TEST_F(Program, SigtermInTheMiddleOfInitdbLeavesNothing) {
    const auto program = start({"--strategies", "unique"});
    for (int tries = 0; tries < 3000 && fs::is_empty(tmp()); ++tries)
        std::this_thread::sleep_for(1ms);
    program->signal(SIGTERM);
    EXPECT_EQ(program->wait_for(30s), 128 + SIGTERM);
    expect_nothing_left();
}

#ifdef __linux__
TEST_F(Program, AServerDoesNotOutliveAProgramThatIsKilled) {
    const auto program = start({"--rounds", "10000000", "--strategies", "unique"});
    const pid_t server = server_of_the_run();
    ASSERT_GT(server, 0) << errors();
    program->signal(SIGKILL);
    program->wait_for(30s);
    for (int tries = 0; tries < 3000 && alive(server); ++tries)
        std::this_thread::sleep_for(10ms);
    EXPECT_FALSE(alive(server));
}
#endif

/// On a server that is there already.
class ProgramElsewhere : public Program {
  protected:
    ProgramElsewhere() {
        run_sql(admin(), "DROP ROLE IF EXISTS runner; CREATE ROLE runner LOGIN CREATEDB");
        before_ = databases();
    }
    // Fails while the role owns a database: one that was left behind.
    void TearDown() override { run_sql(admin(), "DROP ROLE runner"); }

    static std::string admin() { return format_conninfo(test_server().connection()); }
    static std::string databases() {
        return query(admin(), "SELECT string_agg(datname, ',' ORDER BY datname) FROM pg_database");
    }
    static std::vector<std::string> as_runner(std::vector<std::string> arguments) {
        const conninfo server = test_server().connection();
        arguments.insert(arguments.end(),
                         {"-h", server.at("host"), "-p", server.at("port"), "-U", "runner"});
        return arguments;
    }
    void expect_as_before() { EXPECT_EQ(databases(), before_); }

  private:
    std::string before_;
};

TEST_F(ProgramElsewhere, ARoleWithCreatedbIsEnoughAndItsDatabaseIsDropped) {
    ASSERT_EQ(run(as_runner({"--rounds", "5", "--json", "result.json"})), 0)
        << output() << errors();
    EXPECT_EQ(result()["server"]["throwaway"], false);
    EXPECT_EQ(strategy_in(result(), "redeem_coupon")["verdict"], "pass");
    expect_as_before();
    expect_nothing_left();
}

TEST_F(ProgramElsewhere, ADropKillsItsOwnBackendsOnly) {
    pqxx::connection stranger{admin()};
    ASSERT_EQ(run(as_runner({"--scenario", "drop", "--clients", "8", "--buyers", "200", "--cap",
                             "100", "--kill-rate", "0.5", "--json", "result.json"})),
              0)
        << output() << errors();
    for (const char *name : {"redeem_coupon", "grouped"})
        EXPECT_GT(strategy_in(result(), name)["connections_lost"], 0) << name;
    EXPECT_NO_THROW(pqxx::nontransaction{stranger}.exec("SELECT 1"));
    expect_as_before();
}

TEST_F(ProgramElsewhere, CtrlCEndsADrop) {
    const auto program = start(as_runner({"--scenario", "drop", "--buyers", "10000000", "--cap",
                                          "10000000", "--strategies", "redeem_coupon"}));
    wait_until(admin(), "SELECT count(*) >= 30 FROM pg_stat_activity"
                        " WHERE datname LIKE 'coupon\\_race\\_%'");
    program->signal(SIGINT);
    EXPECT_EQ(program->wait_for(30s), 128 + SIGINT) << errors();
    expect_as_before();
}

TEST_F(ProgramElsewhere, AUriAndTheEnvironmentNameItToo) {
    setenv("PGHOST", test_server().connection().at("host").c_str(), 1);
    setenv("PGUSER", "runner", 1);
    EXPECT_EQ(run({"--rounds", "2", "postgresql://"}), 0) << errors();
    unsetenv("PGHOST");
    unsetenv("PGUSER");
    expect_as_before();
}

TEST_F(ProgramElsewhere, WhatIsMissingIsSaidAtOnceAndNothingIsStarted) {
    run_sql(admin(), "ALTER ROLE runner NOCREATEDB");
    EXPECT_EQ(run(as_runner({"--clients", "100"})), 2);
    EXPECT_NE(errors().find("ALTER ROLE \"runner\" CREATEDB"), std::string::npos) << errors();
    EXPECT_NE(errors().find("102 connections are needed at once"), std::string::npos) << errors();
    EXPECT_EQ(run(as_runner({"--scenario", "drop", "--clients", "100"})), 2);
    EXPECT_NE(errors().find("110 connections are needed at once"), std::string::npos)
        << "those of a group_client, besides: " << errors();
    expect_as_before();
}

TEST_F(ProgramElsewhere, CtrlCDropsTheDatabase) {
    const auto program =
        start(as_runner({"--rounds", "10000000", "--strategies", "redeem_coupon"}));
    wait_until(admin(), "SELECT count(*) >= 2 FROM pg_stat_activity"
                        " WHERE datname LIKE 'coupon\\_race\\_%'");
    program->signal(SIGINT);
    EXPECT_EQ(program->wait_for(30s), 128 + SIGINT) << errors();
    expect_as_before();
}

TEST_F(ProgramElsewhere, TheIsolationLevelIsTheStrategysWhateverTheServersDefault) {
    run_sql(admin(), "ALTER ROLE runner SET default_transaction_isolation = serializable");
    EXPECT_EQ(run(as_runner({"--rounds", "5", "--think-time", "20", "--strategies", "naive",
                             "--json", "result.json"})),
              0)
        << errors();
    EXPECT_EQ(strategy_in(result(), "naive")["errors"], 0);
    EXPECT_GT(strategy_in(result(), "naive")["double_redemptions"], 0);
}

} // namespace

} // namespace coupon_guard_tests
