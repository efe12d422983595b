/// The race itself, each strategy on a real server, with the interleaving forced.

#include <condition_variable>
#include <mutex>
#include <thread>

#include "judge/verdict.hpp"
#include "report/race_report.hpp"
#include "scenario/scenario.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

/// Between look and write, nobody goes on before all have looked. One who comes alone (a request
/// that is repeated, when its rival is done) goes on after a while.
class all_have_looked {
  public:
    explicit all_have_looked(int clients)
        : clients_{clients} {}

    void operator()() {
        std::unique_lock lock{mutex_};
        const int meeting = meetings_;
        if (++present_ == clients_) {
            present_ = 0;
            ++meetings_;
            met_.notify_all();
            return;
        }
        if (!met_.wait_for(lock, 300ms, [&] { return meetings_ != meeting; }))
            --present_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable met_;
    const int clients_;
    int present_ = 0;
    int meetings_ = 0;
};

/// How many clients, and how often.
struct size {
    int clients;
    std::int64_t rounds;
};

class Race : public DatabaseTest {
  protected:
    void set_up(const std::string &name) {
        const race_settings settings = raced_.defaults;
        raced_.set_up({*raced_.strategy_named(name), settings, connection()});
    }

    strategy_report race(
        const std::string &name, size of, const std::function<void()> &think = [] {}) {
        race_settings settings = raced_.defaults;
        settings.clients = of.clients;
        settings.rounds = of.rounds;
        settings.think = think;
        const strategy &by = *raced_.strategy_named(name);
        return report_on(raced_, settings, by, raced_.run({by, settings, connection()}));
    }

  private:
    const scenario &raced_ = scenario_named("double-click");
};

std::int64_t double_redemptions(const strategy_report &report) {
    return report.judged.findings.front().count;
}

TEST_F(Race, NaiveRedeemsTwiceWheneverBothLookBeforeEitherWrites) {
    set_up("naive");
    all_have_looked meeting{2};
    const strategy_report report = race("naive", {2, 10}, [&] { meeting(); });
    EXPECT_EQ(report.judged.redeemed, 20);
    EXPECT_EQ(double_redemptions(report), 10);
    EXPECT_EQ(report.judged.users_redeemed_twice, 10);
    EXPECT_EQ(report.judged.verdict, verdict::fail);
    EXPECT_TRUE(report.judged.failure_expected);
}

TEST_F(Race, SerializableRollsOneBackWheneverBothLookBeforeEitherWrites) {
    set_up("serializable");
    all_have_looked meeting{2};
    const strategy_report report = race("serializable", {2, 10}, [&] { meeting(); });
    EXPECT_EQ(report.judged.verdict, verdict::pass);
    EXPECT_EQ(report.judged.redeemed, 10);
    EXPECT_GE(report.retries, 10);
    EXPECT_EQ(report.refused, 10);
}

TEST_F(Race, EveryoneWhoPromisesSafetyKeepsItUnderACrowd) {
    for (const char *name : {"serializable", "for-update", "unique", "redeem_coupon"}) {
        set_up(name);
        const strategy_report report = race(name, {8, 25});
        EXPECT_EQ(report.judged.verdict, verdict::pass) << name << ": " << report.judged.reason;
        EXPECT_EQ(report.attempts, 8 * 25) << name;
        EXPECT_EQ(report.judged.redeemed, 25) << name;
        EXPECT_EQ(report.acknowledged, 25) << name;
        EXPECT_EQ(report.refused, 7 * 25) << name;
    }
}

TEST_F(Race, ARowThatVanishesIsALostRedemption) {
    set_up("redeem_coupon");
    run("CREATE FUNCTION forget() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN DELETE FROM redeem_coupon.coupon_redemption WHERE user_id = '3';"
        " RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER forget AFTER INSERT ON redeem_coupon.coupon_redemption"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION forget()");
    const strategy_report report = race("redeem_coupon", {1, 5});
    EXPECT_EQ(report.acknowledged, 5) << "so the client was told";
    EXPECT_EQ(report.judged.redeemed, 4) << "so the ledger says";
    EXPECT_EQ(report.judged.verdict, verdict::fail);
    EXPECT_FALSE(report.judged.failure_expected);
}

TEST_F(Race, ABrokenConnectionMakesAnUnknownOutcomeAndTheRaceGoesOn) {
    set_up("unique");
    run("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
        "CREATE TRIGGER die BEFORE INSERT ON \"unique\".redemption"
        " FOR EACH ROW WHEN (NEW.user_id = '3') EXECUTE FUNCTION die()");
    const strategy_report report = race("unique", {2, 5});
    EXPECT_EQ(report.unknown_outcomes, 2);
    EXPECT_EQ(report.judged.redeemed, 4);
    EXPECT_EQ(report.errors, 0);
    EXPECT_EQ(report.judged.verdict, verdict::pass);
}

TEST_F(Race, ARequestThatFailsLeavesTheVerdictOpen) {
    set_up("for-update");
    run("ALTER TABLE \"for-update\".redemption ADD CHECK (user_id <> '3')");
    const strategy_report report = race("for-update", {2, 5});
    EXPECT_EQ(report.errors, 2);
    EXPECT_EQ(report.judged.verdict, verdict::unknown);
    EXPECT_NE(report.judged.reason.find("check constraint"), std::string::npos);
}

} // namespace

} // namespace coupon_guard_tests
