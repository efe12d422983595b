/// Misuse, missing rights, broken connections: what the caller is told.

#include <future>

#include <coupon_guard/client.hpp>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;

template <typename Expected>
void expect_sqlstate(client &guard, const user_id &user, std::string_view code,
                     const std::string &sqlstate) {
    try {
        guard.redeem(user, code);
        FAIL() << "no exception, expected " << sqlstate;
    } catch (const Expected &caught) {
        EXPECT_EQ(caught.sqlstate(), sqlstate) << caught.what();
    }
}

class Failure : public GuardedTest {};

TEST_F(Failure, AnEmptyUserIsMisuse) {
    client guard{connection()};
    expect_sqlstate<misuse>(guard, "", "SAVE10", "22023");
}

TEST_F(Failure, AZeroByteDoesNotCutTheCodeShort) {
    client guard{connection()};
    using namespace std::string_view_literals;
    expect_sqlstate<misuse>(guard, 1, "SAVE10\0x"sv, "22021");
    expect_sqlstate<misuse>(guard, std::string("a\0b", 3), "SAVE10", "22021");
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "0");
}

TEST_F(Failure, BytesThatAreNoTextAreMisuse) {
    client guard{connection() + " client_encoding=UTF8"};
    expect_sqlstate<misuse>(guard, 1, "caf\xe9", "22021");
}

TEST_F(Failure, MetadataThatIsNoJsonIsMisuse) {
    client guard{connection()};
    redeem_options options;
    options.metadata = "{";
    EXPECT_THROW(guard.redeem(1, "SAVE10", options), misuse);
}

TEST_F(Failure, ARoleWithoutExecuteIsNotPermitted) {
    run("DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN");
    client guard{connection() + " user=stranger"};
    expect_sqlstate<not_permitted>(guard, 1, "SAVE10", "42501");
    run("GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, text, jsonb) TO stranger");
    EXPECT_TRUE(guard.redeem(1, "SAVE10").redeemed()) << "EXECUTE is all it takes";
    run("DROP OWNED BY stranger; DROP ROLE stranger");
}

TEST_F(Failure, AnExtensionThatIsNotThereIsNotInstalled) {
    client_options options;
    options.schema = "elsewhere";
    client guard{connection(), options};
    expect_sqlstate<not_installed>(guard, 1, "SAVE10", "3F000");
    run("TRUNCATE coupon_redemption, coupon; DROP EXTENSION coupon_guard");
    client other{connection()};
    expect_sqlstate<not_installed>(other, 1, "SAVE10", "42883");
}

TEST_F(Failure, AReadOnlySessionIsReadOnly) {
    client guard{connection() + " options='-c default_transaction_read_only=on'"};
    expect_sqlstate<read_only>(guard, 1, "SAVE10", "25006");
}

TEST_F(Failure, AStatusOfALaterVersionIsAnUnexpectedAnswer) {
    run("TRUNCATE coupon_redemption, coupon; DROP EXTENSION coupon_guard;"
        "CREATE FUNCTION redeem_coupon(user_id bigint, code text, OUT status text,"
        " OUT redemption_id bigint, OUT coupon_id bigint, OUT use_no int,"
        " OUT redeemed_at timestamptz, OUT terms jsonb, OUT replayed bool) LANGUAGE sql"
        " AS $$ SELECT 'given_away', 1, 1, 1, now(), NULL::jsonb, false $$");
    client guard{connection()};
    EXPECT_THROW(guard.redeem(1, "SAVE10"), unexpected_answer);
}

TEST_F(Failure, WhereNobodyListensTheConnectionFails) {
    EXPECT_THROW(client{"host=/nowhere/at/all"}, connection_failed);
}

class BrokenConnection : public GuardedTest {
  protected:
    void kill_the_one_at_the_gate() {
        wait_until_one_waits_at_the_gate();
        run("SELECT pg_terminate_backend(pid) FROM pg_locks"
            " WHERE locktype = 'advisory' AND NOT granted");
    }
};

TEST_F(BrokenConnection, WhileItsAnswerIsAwaitedTheOutcomeIsUnknownAndTheNextCallConnectsAgain) {
    put_gate_before_each_redemption();
    closed_gate gate{connection()};
    client guard{connection()};
    auto redeeming = std::async(std::launch::async, [&] { return guard.redeem(1, "SAVE10"); });
    kill_the_one_at_the_gate();
    EXPECT_THROW(redeeming.get(), outcome_unknown);
    gate.open();
    EXPECT_TRUE(guard.redeem(1, "SAVE10").redeemed());
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(BrokenConnection, InATransactionNothingHasHappened) {
    put_gate_before_each_redemption();
    closed_gate gate{connection()};
    pqxx::connection mine{connection()};
    auto redeeming = std::async(std::launch::async, [&] {
        pqxx::work transaction{mine};
        return redeem(transaction, 1, "SAVE10");
    });
    kill_the_one_at_the_gate();
    EXPECT_THROW(redeeming.get(), connection_lost);
    EXPECT_EQ(rows_of("1"), "0");
}

TEST_F(BrokenConnection, ABorrowedOneIsNotOpenedAgain) {
    pqxx::connection mine{connection()};
    client guard{mine};
    ASSERT_TRUE(guard.redeem(1, "SAVE10").redeemed());
    run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()");
    wait_until(connection(), "SELECT count(*) = 1 FROM pg_stat_activity"
                             " WHERE datname = current_database()");
    EXPECT_THROW(guard.redeem(2, "SAVE10"), outcome_unknown);
    EXPECT_THROW(guard.redeem(2, "SAVE10"), connection_lost);
}

} // namespace

} // namespace coupon_guard_tests
