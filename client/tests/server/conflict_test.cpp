/// 40001, 40P01, lock_timeout: forced, each of them.

#include <future>

#include <coupon_guard/client.hpp>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;

client_options quick_retries(int max_attempts) {
    client_options options;
    options.retry = {max_attempts, std::chrono::microseconds{100}, std::chrono::microseconds{1000}};
    return options;
}

/// A redeem_coupon() that fails a number of times before it succeeds. A sequence counts, because
/// what it gives out is not taken back by the rollback.
class StubbornServer : public DatabaseTest {
  protected:
    void fail(int times, const std::string &sqlstate) {
        run("CREATE SEQUENCE calls;"
            "CREATE FUNCTION redeem_coupon(user_id bigint, code text, OUT status text,"
            " OUT redemption_id bigint, OUT coupon_id bigint, OUT use_no int,"
            " OUT redeemed_at timestamptz, OUT terms jsonb, OUT replayed bool) LANGUAGE plpgsql AS "
            "$$"
            " BEGIN IF nextval('calls') <= " +
            std::to_string(times) + " THEN RAISE EXCEPTION 'try again' USING ERRCODE = '" +
            sqlstate + "'; END IF; status := 'redeemed'; END $$");
    }
    std::string calls() { return ask("SELECT last_value FROM calls"); }
};

TEST_F(StubbornServer, SerializationFailuresAreRepeatedAndCounted) {
    fail(3, "40001");
    client guard{connection(), quick_retries(10)};
    const redemption got = guard.redeem(1, "SAVE10");
    EXPECT_TRUE(got.redeemed());
    EXPECT_EQ(got.retries, 3);
    EXPECT_EQ(calls(), "4");
}

TEST_F(StubbornServer, DeadlocksAreRepeated) {
    fail(1, "40P01");
    client guard{connection(), quick_retries(10)};
    EXPECT_EQ(guard.redeem(1, "SAVE10").retries, 1);
}

TEST_F(StubbornServer, PatienceHasAnEnd) {
    fail(100, "40001");
    client guard{connection(), quick_retries(4)};
    try {
        guard.redeem(1, "SAVE10");
        FAIL() << "no exception";
    } catch (const transaction_conflict &caught) {
        EXPECT_EQ(caught.retries(), 3);
        EXPECT_EQ(caught.sqlstate(), "40001");
    }
    EXPECT_EQ(calls(), "4");
}

TEST_F(StubbornServer, NothingIsRepeatedInTheCallersTransaction) {
    fail(1, "40001");
    pqxx::connection mine{connection()};
    pqxx::work transaction{mine};
    EXPECT_THROW(redeem(transaction, 1, "SAVE10"), transaction_conflict);
    EXPECT_EQ(calls(), "1");
}

TEST_F(StubbornServer, OtherErrorsAreNotRepeated) {
    fail(1, "P0001");
    client guard{connection(), quick_retries(10)};
    EXPECT_THROW(guard.redeem(1, "SAVE10"), sql_error);
    EXPECT_EQ(calls(), "1");
}

class Conflict : public GuardedTest {};

/// The redemption reads `a` and writes `b`, a rival reads `b` and writes `a`, and the rival commits
/// while the redemption waits at the gate: under SERIALIZABLE the redemption must fail, once.
TEST_F(Conflict, AFailureToSerializeIsRepeatedAndTheRedemptionIsMadeOnce) {
    run("CREATE TABLE a (x int); CREATE TABLE b (x int)");
    put_gate_before_each_redemption("PERFORM count(*) FROM a; INSERT INTO b VALUES (1);");
    pqxx::connection rivals{connection()};
    pqxx::work rival{rivals};
    rival.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
    rival.exec("SELECT count(*) FROM b");
    rival.exec("INSERT INTO a VALUES (1)");

    closed_gate gate{connection()};
    client guard{connection() + " options='-c default_transaction_isolation=serializable'",
                 quick_retries(10)};
    auto redeeming = std::async(std::launch::async, [&] { return guard.redeem(1, "SAVE10"); });
    wait_until_one_waits_at_the_gate();
    rival.commit();
    gate.open();

    const redemption got = redeeming.get();
    EXPECT_TRUE(got.redeemed());
    EXPECT_EQ(got.retries, 1);
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(Conflict, TheRivalOfAnOpenRedemptionWaitsAndIsRefusedWhenItCommits) {
    pqxx::connection mine{connection()};
    pqxx::work first{mine};
    ASSERT_TRUE(redeem(first, 1, "SAVE10").redeemed());
    client guard{connection()};
    auto second = std::async(std::launch::async, [&] { return guard.redeem(1, "SAVE10"); });
    wait_until(connection(), "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)");
    first.commit();
    EXPECT_EQ(second.get().status, status::already_redeemed);
}

TEST_F(Conflict, LockTimeoutIsItsOwnError) {
    pqxx::connection mine{connection()};
    pqxx::work first{mine};
    ASSERT_TRUE(redeem(first, 1, "SAVE10").redeemed());
    client guard{connection() + " options='-c lock_timeout=50'"};
    try {
        guard.redeem(1, "SAVE10");
        FAIL() << "no exception";
    } catch (const gave_up_waiting &caught) {
        EXPECT_EQ(caught.sqlstate(), "55P03");
    }
    first.commit();
    EXPECT_EQ(guard.redeem(1, "SAVE10").status, status::already_redeemed) << "still usable";
}

} // namespace

} // namespace coupon_guard_tests
