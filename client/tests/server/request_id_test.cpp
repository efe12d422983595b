/// A request id makes a retry harmless: also when the connection is lost at COMMIT, where nobody
/// can tell the client what became of its request. Killed there, before and after the commit
/// record.

#include <future>

#include <coupon_guard/client.hpp>

#include "lost_commit.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;

redeem_options with_id(const std::string &id) {
    return {id};
}

class RequestId : public LostCommit {};

TEST_F(RequestId, TheSameRequestGetsTheSameRedemption) {
    client guard{connection()};
    const redemption first = guard.redeem(1, "SAVE10", with_id("a"));
    ASSERT_TRUE(first.redeemed());
    EXPECT_FALSE(first.replayed);
    const redemption again = guard.redeem(1, "SAVE10", with_id("a"));
    EXPECT_TRUE(again.redeemed());
    EXPECT_TRUE(again.replayed);
    EXPECT_EQ(again.redemption_id, first.redemption_id);
    EXPECT_EQ(again.redeemed_at, first.redeemed_at);
    EXPECT_EQ(again.terms, first.terms);
    EXPECT_EQ(guard.redeem(1, "SAVE10", with_id("b")).status, status::already_redeemed);
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(RequestId, ForAnotherCouponItIsMisuse) {
    run("INSERT INTO coupon (code) VALUES ('OTHER')");
    client guard{connection()};
    ASSERT_TRUE(guard.redeem(1, "SAVE10", with_id("a")).redeemed());
    try {
        guard.redeem(1, "OTHER", with_id("a"));
        FAIL() << "no exception";
    } catch (const misuse &caught) {
        EXPECT_EQ(caught.sqlstate(), "RC007");
    }
}

TEST_F(RequestId, AVoidedRedemptionIsNotTakenForRedeemed) {
    client guard{connection()};
    const redemption first = guard.redeem(1, "SAVE10", with_id("a"));
    ASSERT_TRUE(guard.void_redemption(first.redemption_id.value()));
    const redemption again = guard.redeem(1, "SAVE10", with_id("a"));
    EXPECT_EQ(again.status, status::voided);
    EXPECT_FALSE(again.redeemed());
    EXPECT_TRUE(again.replayed);
    EXPECT_EQ(again.redemption_id, first.redemption_id);
}

TEST_F(RequestId, SeveralCouponsAreTheSameRequestInAnyOrder) {
    run("INSERT INTO coupon (code) VALUES ('OTHER')");
    client guard{connection()};
    const redemptions first = guard.redeem_coupons(1, {"SAVE10", "OTHER"}, with_id("a"));
    ASSERT_TRUE(first.redeemed());
    const redemptions again = guard.redeem_coupons(1, {"OTHER", "SAVE10"}, with_id("a"));
    EXPECT_TRUE(again.redeemed());
    EXPECT_EQ(again.coupons[0].redemption_id, first.coupons[1].redemption_id);
    EXPECT_EQ(again.coupons[1].redemption_id, first.coupons[0].redemption_id);
    EXPECT_EQ(guard.redeem(1, "SAVE10", with_id("a#1")).status, status::already_redeemed)
        << "no id that a caller may give is one of theirs";
    EXPECT_EQ(rows_of("1"), "2");
}

TEST_F(RequestId, AControlCharacterInItIsMisuse) {
    client guard{connection()};
    EXPECT_THROW(guard.redeem(1, "SAVE10", with_id("a\x1f")), misuse);
}

TEST_F(RequestId, KilledBeforeTheCommitRecordItIsRedeemedByAskingAgain) {
    kill_at_commit(1);
    client guard{connection()};
    const redemption got = guard.redeem(1, "SAVE10", with_id("a"));
    EXPECT_TRUE(got.redeemed());
    EXPECT_FALSE(got.replayed) << "the first one was rolled back";
    EXPECT_EQ(got.asked_again, 1);
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(RequestId, HoldsAndSeveralCouponsAreResolvedLikewise) {
    run("INSERT INTO coupon (code) VALUES ('OTHER')");
    kill_at_commit(1);
    client guard{connection()};
    const redemptions got = guard.redeem_coupons(1, {"SAVE10", "OTHER"}, with_id("a"));
    EXPECT_TRUE(got.redeemed());
    EXPECT_EQ(got.asked_again, 1);
    EXPECT_EQ(rows_of("1"), "2");
    run("DROP TRIGGER die ON coupon_redemption; DROP FUNCTION die(); DROP SEQUENCE commits");
    kill_at_commit(1);
    hold_options options;
    options.request_id = "b";
    const redemption held = guard.hold(2, "SAVE10", options);
    EXPECT_TRUE(held.held());
    EXPECT_EQ(held.asked_again, 1);
    EXPECT_EQ(rows_of("2"), "1");
}

TEST_F(RequestId, WithoutOneTheOutcomeIsUnknown) {
    kill_at_commit(1);
    client guard{connection()};
    EXPECT_THROW(guard.redeem(1, "SAVE10"), outcome_unknown);
    EXPECT_EQ(rows_of("1"), "0");
}

TEST_F(RequestId, ABorrowedConnectionLeavesAskingAgainToTheCaller) {
    kill_at_commit(1);
    pqxx::connection mine{connection()};
    client guard{mine};
    EXPECT_THROW(guard.redeem(1, "SAVE10", with_id("a")), outcome_unknown);
    client other{connection()};
    EXPECT_TRUE(other.redeem(1, "SAVE10", with_id("a")).redeemed());
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(RequestId, AServerThatAlwaysFailsLeavesTheOutcomeUnknown) {
    kill_at_commit(1000);
    client_options options;
    options.retry = {3, std::chrono::microseconds{100}, std::chrono::microseconds{1000}};
    client guard{connection(), options};
    EXPECT_THROW(guard.redeem(1, "SAVE10", with_id("a")), outcome_unknown);
    EXPECT_EQ(ask("SELECT last_value FROM commits"), "3");
}

TEST_F(RequestId, AnErrorWhileInDoubtIsNotTakenForTheAnswer) {
    // Asked again, it runs into lock_timeout: the first request may have gone through all the same.
    kill_at_commit(1);
    run("CREATE FUNCTION wait_the_second_time() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF (SELECT is_called FROM commits) THEN PERFORM pg_advisory_xact_lock(1); END IF;"
        " RETURN NEW; END $$;"
        "CREATE TRIGGER wait_the_second_time BEFORE INSERT ON coupon_redemption"
        " FOR EACH ROW EXECUTE FUNCTION wait_the_second_time()");
    const closed_gate gate{connection()};
    client guard{connection() + " options='-c lock_timeout=50'"};
    try {
        guard.redeem(1, "SAVE10", with_id("a"));
        FAIL() << "no exception";
    } catch (const outcome_unknown &caught) {
        EXPECT_EQ(caught.sqlstate(), "55P03");
    }
}

class CommittedUntold : public UntoldCommit {};

TEST_F(CommittedUntold, TheRedemptionIsFoundByAskingAgain) {
    name_standbys("nobody");
    client guard{connection()};
    auto redeeming =
        std::async(std::launch::async, [&] { return guard.redeem(1, "SAVE10", with_id("a")); });
    kill_the_one_that_has_committed();
    name_standbys("");
    const redemption got = redeeming.get();
    EXPECT_TRUE(got.redeemed());
    EXPECT_TRUE(got.replayed) << "the first one was committed";
    EXPECT_EQ(got.asked_again, 1);
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(CommittedUntold, AConfirmedHoldNeedsNoRequestId) {
    client guard{connection()};
    const redemption held = guard.hold(1, "SAVE10");
    ASSERT_TRUE(held.held());
    name_standbys("nobody");
    auto confirming =
        std::async(std::launch::async, [&] { return guard.confirm(held.redemption_id.value()); });
    kill_the_one_that_has_committed();
    name_standbys("");
    const redemption got = confirming.get();
    EXPECT_TRUE(got.redeemed());
    EXPECT_TRUE(got.replayed);
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(CommittedUntold, TheCallersOwnTransactionIsRecognisedByItsRequestId) {
    run("CREATE TABLE orders (user_id int)");
    name_standbys("nobody");
    auto ordering = std::async(std::launch::async, [&] {
        pqxx::connection mine{connection()};
        pqxx::work transaction{mine};
        redeem(transaction, 1, "SAVE10", with_id("order-1"));
        transaction.exec("INSERT INTO orders VALUES (1)");
        transaction.commit();
    });
    kill_the_one_that_has_committed();
    name_standbys("");
    EXPECT_THROW(ordering.get(), std::exception);
    pqxx::connection other{connection()};
    pqxx::work transaction{other};
    EXPECT_TRUE(redeem(transaction, 1, "SAVE10", with_id("order-1")).replayed)
        << "so the order need not be placed again";
    EXPECT_EQ(ask("SELECT count(*) FROM orders"), "1");
}

} // namespace

} // namespace coupon_guard_tests
