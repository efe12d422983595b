/// The statement of a group: prepared where the session keeps it, and made all the same where not.

#include <string>
#include <vector>

#include "group_fixture.hpp"
#include "group_statement.hpp"
#include "request.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using namespace std::chrono_literals;

/// For each redemption it is noted how many statements its session has prepared; some, and that of
/// `first`, make it forget them.
class GroupStatement : public Group {
  protected:
    GroupStatement() {
        run("CREATE TABLE noted (number bigserial, user_id text, prepared bigint, pid int);"
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO noted (user_id, prepared, pid) VALUES (NEW.user_id,"
            "  (SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'coupon_guard%'),"
            "  pg_backend_pid());"
            " IF NEW.user_id = 'first' OR NEW.metadata ? 'forget' THEN DEALLOCATE ALL; END IF;"
            " RETURN NULL; END $$;"
            "CREATE TRIGGER note AFTER INSERT ON coupon_redemption"
            " FOR EACH ROW EXECUTE FUNCTION note()");
    }

    std::string noted() {
        return ask("SELECT string_agg(prepared::text, ',' ORDER BY number) FROM noted");
    }

    static redeem_options forgetting() { return {std::nullopt, R"({"forget": true})"}; }
};

TEST_F(GroupStatement, IsPreparedOnceForWhateverNumberOfCalls) {
    prepared_statements prepared{true};
    pqxx::connection mine{connection()};
    pqxx::nontransaction transaction{mine};
    for (int user = 1; user < 4; ++user) {
        const auto asked = redeem_request(user, "SAVE10", {}, "");
        const std::vector<const function_call *> calls(static_cast<std::size_t>(user), &asked.call);
        EXPECT_EQ(group_statement(calls, 50ms).run(transaction, prepared).size(), calls.size());
    }
    EXPECT_EQ(noted(), "1,1,1");
}

TEST_F(GroupStatement, HasTheArgumentsThatAnyOfTheCallsHas) {
    const auto plain = redeem_request(1, "SAVE10", {}, "");
    const auto with_id = redeem_request(2, "SAVE10", {"a"}, "");
    const auto with_both = redeem_request(3, "SAVE10", {"b", R"({"c": 1})"}, "");
    pqxx::connection mine{connection()};
    pqxx::nontransaction transaction{mine};
    prepared_statements prepared{true};
    const auto count_after = [&](const std::vector<const function_call *> &calls) {
        EXPECT_EQ(group_statement(calls, 50ms).run(transaction, prepared).size(), calls.size());
        return transaction.exec("SELECT count(*) FROM pg_prepared_statements")[0][0].as<int>();
    };
    EXPECT_EQ(count_after({&plain.call, &plain.call}), 1);
    EXPECT_EQ(count_after({&plain.call, &with_id.call}), 2);
    EXPECT_EQ(count_after({&with_id.call}), 2);
    EXPECT_EQ(count_after({&with_both.call, &plain.call}), 3);
    EXPECT_EQ(ask("SELECT string_agg(user_id || coalesce(request_id, '-') || coalesce(metadata ->>"
                  " 'c', '-'), ',' ORDER BY user_id) FROM coupon_redemption"),
              "1--,2a-,3b1");
}

TEST_F(GroupStatement, IsNotPreparedWhereThatIsNotWanted) {
    auto options = one_connection();
    options.prepares_statements = false;
    group_client coupons{connection(), options};
    EXPECT_TRUE(coupons.redeem(1, "SAVE10").redeemed());
    EXPECT_TRUE(coupons.redeem(2, "SAVE10").redeemed());
    EXPECT_EQ(noted(), "0,0");
}

/// As behind a pooler that hands a transaction to a session that has not prepared it.
TEST_F(GroupStatement, LostOnceItIsPreparedAgainAndTheSecondTimeNoMore) {
    group_client coupons{connection(), one_connection()};
    for (int user = 1; user <= 4; ++user)
        EXPECT_TRUE(coupons.redeem(user, "SAVE10", forgetting()).redeemed()) << user;
    EXPECT_EQ(noted(), "1,1,0,0");
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "4");

    run("SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM noted) AS session");
    EXPECT_TRUE(coupons.redeem(5, "SAVE10", {"id"}).redeemed());
    EXPECT_EQ(noted(), "1,1,0,0,1") << "another connection, another attempt";
}

TEST_F(GroupStatement, LostByAGroupItIsPreparedAgainForAllOfIt) {
    group_client coupons{connection(), one_connection()};
    auto answers = in_one_group(
        coupons, 8, [&](int number) { return coupons.redeem(std::to_string(number), "SAVE10"); });
    for (auto &each : answers)
        EXPECT_TRUE(each.get().redeemed());
    EXPECT_EQ(noted(), "1,1,1,1,1,1,1,1,1");
    EXPECT_EQ(verify(), "0");
}

TEST_F(GroupStatement, ATriggersErrorThatLooksLikeALossIsItsCallers) {
    group_client coupons{connection(), one_connection()};
    for (const char *sqlstate : {"0A000", "26000", "42P05"}) {
        fail_for("1", sqlstate);
        try {
            coupons.redeem(1, "SAVE10");
            ADD_FAILURE() << "no exception";
        } catch (const sql_error &caught) {
            EXPECT_EQ(caught.sqlstate(), sqlstate);
        }
        run("DROP FUNCTION fail() CASCADE");
    }
    EXPECT_TRUE(coupons.redeem(1, "SAVE10").redeemed());
}

/// What a trigger can tell of the statement that it runs in.
class GroupStatementText : public GroupStatement {
  protected:
    GroupStatementText() {
        run("CREATE TABLE texts (text text);"
            "CREATE FUNCTION note_text() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO texts SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid();"
            " RETURN NULL; END $$;"
            "CREATE TRIGGER note_text AFTER INSERT ON coupon_redemption"
            " FOR EACH ROW EXECUTE FUNCTION note_text()");
    }

    std::string calls_for_each() {
        return ask("SELECT string_agg(DISTINCT (text LIKE '%redeem_coupon_for_each(%')::text, ',')"
                   " FROM texts");
    }
};

TEST_F(GroupStatementText, CallsForEachOfThem) {
    group_client coupons{connection(), one_connection()};
    EXPECT_TRUE(coupons.redeem(1, "SAVE10", {"a", R"({"b": 1})"}).redeemed());
    EXPECT_TRUE(coupons.redeem("ann", "SAVE10").redeemed());
    EXPECT_EQ(coupons.redeem(1, "SAVE10", {"a"}).replayed, true);
    EXPECT_EQ(calls_for_each(), "true");
    EXPECT_EQ(ask("SELECT metadata FROM coupon_redemption WHERE request_id = 'a'"), R"({"b": 1})");
}

TEST_F(GroupStatementText, MakesTheCallsSideBySideWhereTheFunctionForEachIsNotThere) {
    run("ALTER EXTENSION coupon_guard DROP FUNCTION redeem_coupon_for_each(bigint[], text[], "
        "text[], jsonb[]);"
        "DROP FUNCTION redeem_coupon_for_each(bigint[], text[], text[], jsonb[])");
    for (const bool prepares : {true, false}) {
        auto options = one_connection();
        options.prepares_statements = prepares;
        group_client coupons{connection(), options};
        EXPECT_TRUE(coupons.redeem(prepares ? 1 : 2, "SAVE10", {prepares ? "a" : "b"}).redeemed());
    }
    auto later = one_connection();
    group_client coupons{connection(), later};
    auto first = coupons.redeem_later(3, "SAVE10");
    auto second = coupons.redeem_later(4, "SAVE10");
    EXPECT_TRUE(first.get().redeemed());
    EXPECT_TRUE(second.get().redeemed());
    EXPECT_EQ(calls_for_each().find("true"), std::string::npos);
    EXPECT_EQ(verify(), "0");
}

TEST_F(GroupStatement, ATriggersMissingFunctionIsItsCallersError) {
    group_client coupons{connection(), one_connection()};
    fail_for("1", "42883");
    EXPECT_THROW(coupons.redeem(1, "SAVE10"), sql_error);
    EXPECT_TRUE(coupons.redeem(2, "SAVE10").redeemed());
}

TEST_F(GroupStatement, WhateverHappensASessionKeepsABoundedNumber) {
    prepared_statements prepared{true};
    pqxx::connection mine{connection()};
    pqxx::nontransaction transaction{mine};
    const auto text = [] { return std::string{"SELECT 1"}; };
    int number = 0;
    for (; prepared.are_used() && number < 1000; ++number) {
        prepared.name_of("a", text, transaction);
        prepared.name_of("a", text, transaction); // is not new: so the next error may be its
        EXPECT_TRUE(prepared.may_be_why("0A000") || !prepared.are_used());
    }
    EXPECT_EQ(number, prepared_statements::most);
    EXPECT_EQ(transaction.exec("SELECT count(*) FROM pg_prepared_statements")[0][0].as<int>(),
              prepared_statements::most);
    prepared.forget();
    EXPECT_TRUE(prepared.are_used()) << "in the next session";
}

TEST_F(GroupStatement, TheExtensionMayBeMadeAnewMeanwhile) {
    group_client coupons{connection(), one_connection()};
    for (int user = 1; user <= 10; ++user) // enough for the server to keep a plan
        EXPECT_TRUE(coupons.redeem(user, "SAVE10").redeemed());
    run("TRUNCATE coupon_redemption, coupon; DROP EXTENSION coupon_guard CASCADE;"
        "CREATE EXTENSION coupon_guard; INSERT INTO coupon (code) VALUES ('SAVE10')");
    EXPECT_TRUE(coupons.redeem(1, "SAVE10").redeemed()) << "whose columns are of other types";
    run("TRUNCATE coupon_redemption, coupon; DROP EXTENSION coupon_guard CASCADE");
    EXPECT_THROW(coupons.redeem(2, "SAVE10"), not_installed);
}

} // namespace

} // namespace coupon_guard_tests
