/// What client::redeem() and redeem() answer.

#include <chrono>

#include <coupon_guard/client.hpp>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;

class Redeem : public GuardedTest {};

TEST_F(Redeem, TheFirstTimeRedeemsAndTheSecondSaysAlready) {
    client guard{connection()};
    const redemption first = guard.redeem(42, "SAVE10");
    ASSERT_EQ(first.status, status::redeemed);
    EXPECT_TRUE(first.redeemed());
    EXPECT_EQ(std::to_string(first.redemption_id.value()),
              ask("SELECT id FROM coupon_redemption WHERE user_id = '42'"));
    EXPECT_EQ(std::to_string(first.coupon_id.value()), ask("SELECT id FROM coupon"));
    EXPECT_EQ(first.use_no, 1);
    EXPECT_EQ(first.terms, R"({"percent": 10})");
    EXPECT_EQ(first.retries, 0);

    const redemption second = guard.redeem(42, " save10 ");
    EXPECT_EQ(second.status, status::already_redeemed);
    EXPECT_FALSE(second.redeemed());
    EXPECT_EQ(second.redemption_id, first.redemption_id);
    EXPECT_EQ(second.redeemed_at, first.redeemed_at);
    EXPECT_EQ(rows_of("42"), "1");
}

TEST_F(Redeem, TheTimeIsExactWhateverTheSessionMakesOfDates) {
    client guard{connection() + " options='-c datestyle=German -c timezone=Asia/Kathmandu'"};
    const redemption got = guard.redeem(42, "SAVE10");
    EXPECT_EQ(std::to_string(got.redeemed_at.value().time_since_epoch().count()),
              ask("SELECT (extract(epoch FROM redeemed_at) * 1000000)::bigint"
                  " FROM coupon_redemption"));
    const auto age = std::chrono::system_clock::now() - *got.redeemed_at;
    EXPECT_LT(age, std::chrono::minutes{1});
    EXPECT_GT(age, -std::chrono::minutes{1});
}

TEST_F(Redeem, UsersAreIntegersUuidsAndTexts) {
    client guard{connection()};
    EXPECT_TRUE(guard.redeem(std::int64_t{9223372036854775807}, "SAVE10").redeemed());
    EXPECT_TRUE(guard.redeem(uuid::parse("A0EEBC999C0B4EF8BB6D6BB9BD380A11"), "SAVE10").redeemed());
    EXPECT_TRUE(guard.redeem("ann@example.com", "SAVE10").redeemed());
    EXPECT_EQ(rows_of("9223372036854775807"), "1");
    EXPECT_EQ(rows_of("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), "1");
    EXPECT_EQ(rows_of("ann@example.com"), "1");
    EXPECT_EQ(guard.redeem("9223372036854775807", "SAVE10").status, status::already_redeemed);
}

TEST_F(Redeem, EveryRefusalHasItsStatus) {
    run("INSERT INTO coupon (code, active, starts_at, expires_at) VALUES"
        " ('OFF', false, NULL, NULL), ('EARLY', true, now() + interval '1 day', NULL),"
        " ('LATE', true, NULL, now() - interval '1 day')");
    client guard{connection()};
    EXPECT_EQ(guard.redeem(1, "NONE").status, status::not_found);
    EXPECT_EQ(guard.redeem(1, "OFF").status, status::inactive);
    EXPECT_EQ(guard.redeem(1, "EARLY").status, status::not_started);
    EXPECT_EQ(guard.redeem(1, "LATE").status, status::expired);
    EXPECT_FALSE(guard.redeem(1, "NONE").redemption_id);
    EXPECT_EQ(rows_of("1"), "0");
}

TEST_F(Redeem, UsesAreCounted) {
    run("INSERT INTO coupon (code, max_per_user) VALUES ('TWICE', 2)");
    client guard{connection()};
    EXPECT_EQ(guard.redeem(1, "TWICE").use_no, 1);
    EXPECT_EQ(guard.redeem(1, "TWICE").use_no, 2);
    EXPECT_EQ(guard.redeem(1, "TWICE").status, status::already_redeemed);
}

TEST_F(Redeem, MetadataIsKept) {
    client guard{connection()};
    redeem_options options;
    options.metadata = R"({"order": 7, "note": "it's"})";
    ASSERT_TRUE(guard.redeem(1, "SAVE10", options).redeemed());
    EXPECT_EQ(ask("SELECT metadata ->> 'note' FROM coupon_redemption"), "it's");
}

TEST_F(Redeem, ABorrowedConnectionStaysTheCallers) {
    pqxx::connection mine{connection()};
    {
        client guard{mine};
        EXPECT_TRUE(guard.redeem(1, "SAVE10").redeemed());
    }
    pqxx::work transaction{mine};
    EXPECT_EQ(redeem(transaction, 1, "SAVE10").status, status::already_redeemed);
}

TEST_F(Redeem, AClientCanBeMoved) {
    client guard{connection()};
    client moved{std::move(guard)};
    EXPECT_TRUE(moved.redeem(1, "SAVE10").redeemed());
}

TEST_F(Redeem, InTheCallersTransactionItStandsAndFallsWithIt) {
    pqxx::connection mine{connection()};
    {
        pqxx::work transaction{mine};
        ASSERT_TRUE(redeem(transaction, 1, "SAVE10").redeemed());
        EXPECT_EQ(transaction.exec("SELECT FROM coupon_redemption").size(), 1)
            << "the next statement sees it";
        transaction.abort();
    }
    EXPECT_EQ(rows_of("1"), "0");
    {
        pqxx::work transaction{mine};
        ASSERT_TRUE(redeem(transaction, 1, "SAVE10").redeemed());
        transaction.commit();
    }
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(Redeem, NoSessionStateIsLeftBehind) {
    pqxx::connection mine{connection()};
    client guard{mine};
    guard.redeem(1, "SAVE10");
    pqxx::nontransaction look{mine};
    EXPECT_TRUE(look.exec("SELECT FROM pg_prepared_statements").empty());
}

class RedeemElsewhere : public DatabaseTest {};

TEST_F(RedeemElsewhere, TheSchemaCanBeNamed) {
    run(R"(CREATE SCHEMA "Sale 2026"; CREATE EXTENSION coupon_guard SCHEMA "Sale 2026";
           INSERT INTO "Sale 2026".coupon (code) VALUES ('SAVE10'))");
    client_options options;
    options.schema = "Sale 2026";
    client guard{connection(), options};
    EXPECT_TRUE(guard.redeem(1, "SAVE10").redeemed());
    pqxx::connection mine{connection()};
    pqxx::work transaction{mine};
    EXPECT_TRUE(redeem(transaction, 2, "SAVE10", {}, "Sale 2026").redeemed());
}

} // namespace

} // namespace coupon_guard_tests
