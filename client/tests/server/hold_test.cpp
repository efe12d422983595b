/// Caps, holds, voids, redeem_coupons() and check(): typed as they are in SQL.

#include <chrono>

#include <coupon_guard/client.hpp>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using namespace std::chrono_literals;

hold_options held_for(std::chrono::microseconds ttl) {
    hold_options options;
    options.ttl = ttl;
    return options;
}

class Hold : public GuardedTest {
  protected:
    Hold() { run("INSERT INTO coupon (code, max_redemptions) VALUES ('ONE', 1)"); }

    void let_holds_expire() {
        run("UPDATE coupon_redemption SET hold_expires_at = now() - interval '1 second'");
    }
};

TEST_F(Hold, KeepsTheUnitUntilItIsConfirmed) {
    client guard{connection()};
    const redemption held = guard.hold(1, "ONE", held_for(10min));
    ASSERT_EQ(held.status, status::held);
    EXPECT_TRUE(held.held());
    EXPECT_FALSE(held.redeemed());
    const auto left = held.hold_expires_at.value() - std::chrono::system_clock::now();
    EXPECT_LT(left, 11min);
    EXPECT_GT(left, 9min);
    EXPECT_EQ(guard.redeem(2, "ONE").status, status::sold_out);

    const redemption confirmed = guard.confirm(held.redemption_id.value());
    EXPECT_TRUE(confirmed.redeemed());
    EXPECT_FALSE(confirmed.replayed);
    EXPECT_EQ(confirmed.redemption_id, held.redemption_id);
    EXPECT_TRUE(guard.confirm(held.redemption_id.value()).replayed);
}

TEST_F(Hold, LastsAsLongAsWasAskedForToTheMicrosecond) {
    client guard{connection() + " options='-c intervalstyle=sql_standard'"};
    ASSERT_TRUE(guard.hold(1, "SAVE10", held_for(1234567us)).held());
    ASSERT_TRUE(guard.hold(2, "SAVE10", held_for(std::chrono::hours{24 * 3650})).held());
    ASSERT_TRUE(guard.hold(3, "SAVE10").held());
    const auto ttl_of = [&](const char *user) {
        return ask("SELECT round(extract(epoch FROM hold_expires_at - redeemed_at), 3)"
                   " FROM coupon_redemption WHERE user_id = '" +
                   std::string{user} + "'");
    };
    EXPECT_EQ(ttl_of("1").substr(0, 4), "1.23");
    EXPECT_EQ(ttl_of("2").substr(0, 9), "315360000");
    EXPECT_EQ(ttl_of("3").substr(0, 3), "900");
}

TEST_F(Hold, ExpiredItGoesToTheNext) {
    client guard{connection()};
    const redemption held = guard.hold(1, "ONE");
    ASSERT_TRUE(held.held());
    let_holds_expire();
    EXPECT_TRUE(guard.redeem(2, "ONE").redeemed());
    EXPECT_EQ(guard.confirm(held.redemption_id.value()).status, status::expired);
}

TEST_F(Hold, VoidedTheUnitIsFree) {
    client guard{connection()};
    const redemption held = guard.hold(1, "ONE");
    EXPECT_TRUE(guard.void_redemption(held.redemption_id.value(), "walked away"));
    EXPECT_FALSE(guard.void_redemption(held.redemption_id.value()));
    EXPECT_EQ(ask("SELECT void_reason FROM coupon_redemption"), "walked away");
    EXPECT_TRUE(guard.redeem(2, "ONE").redeemed());
}

TEST_F(Hold, VoidedBeforeItsDeadlineItCannotBeConfirmed) {
    client guard{connection()};
    const redemption held = guard.hold(1, "ONE");
    ASSERT_TRUE(guard.void_redemption(held.redemption_id.value()));
    const redemption got = guard.confirm(held.redemption_id.value());
    EXPECT_EQ(got.status, status::voided);
    EXPECT_EQ(got.redemption_id, held.redemption_id);
}

TEST_F(Hold, BelongsToTheRequestThatPlacedIt) {
    client guard{connection()};
    hold_options first = held_for(10min);
    first.request_id = "order-A";
    hold_options second = held_for(10min);
    second.request_id = "order-B";
    const redemption held = guard.hold(1, "ONE", first);
    ASSERT_TRUE(held.held());
    const redemption other = guard.hold(1, "ONE", second);
    EXPECT_EQ(other.status, status::already_redeemed);
    EXPECT_EQ(other.redemption_id, held.redemption_id);
    EXPECT_EQ(guard.redeem(1, "ONE", second).status, status::already_redeemed);
    EXPECT_TRUE(guard.redeem(1, "ONE", first).redeemed());
}

TEST_F(Hold, AnUnknownIdIsMisuse) {
    client guard{connection()};
    const auto expect_rc008 = [](auto &&call) {
        try {
            call();
            FAIL() << "no exception";
        } catch (const misuse &caught) {
            EXPECT_EQ(caught.sqlstate(), "RC008");
        }
    };
    expect_rc008([&] { guard.confirm(4711); });
    expect_rc008([&] { guard.void_redemption(4711); });
}

TEST_F(Hold, InTheCallersTransactionAllStandAndFallWithIt) {
    pqxx::connection mine{connection()};
    {
        pqxx::work transaction{mine};
        const redemption held = hold(transaction, 1, "ONE");
        ASSERT_TRUE(held.held());
        EXPECT_TRUE(confirm(transaction, held.redemption_id.value()).redeemed());
        EXPECT_TRUE(void_redemption(transaction, held.redemption_id.value(), "changed my mind"));
        EXPECT_TRUE(redeem_coupons(transaction, 1, {"ONE", "SAVE10"}).redeemed());
        EXPECT_EQ(check(transaction, 1, "ONE").status, status::already_redeemed);
        transaction.abort();
    }
    EXPECT_EQ(rows_of("1"), "0");
}

TEST_F(Hold, SeveralCouponsAreRedeemedAllOrNone) {
    client guard{connection()};
    const redemptions none = guard.redeem_coupons(1, {"SAVE10", "no such", "it's {\"\\}"});
    EXPECT_FALSE(none.redeemed());
    ASSERT_EQ(none.coupons.size(), 3u);
    EXPECT_EQ(none.coupons[0].code, "SAVE10");
    EXPECT_EQ(none.coupons[0].status, status::withheld);
    EXPECT_EQ(none.coupons[1].status, status::not_found);
    EXPECT_EQ(none.coupons[2].code, "it's {\"\\}");
    EXPECT_EQ(rows_of("1"), "0");

    const redemptions all = guard.redeem_coupons(1, {"SAVE10", "ONE"});
    EXPECT_TRUE(all.redeemed());
    EXPECT_EQ(all.coupons[0].terms, R"({"percent": 10})");
    EXPECT_TRUE(all.coupons[1].redeemed_at);
    EXPECT_EQ(rows_of("1"), "2");
    EXPECT_TRUE(guard.redeem_coupons(1, {}).coupons.empty());
}

TEST_F(Hold, LookingTellsWhatIsLeftAndChangesNothing) {
    client guard{connection()};
    const availability before = guard.check(1, "ONE");
    EXPECT_EQ(before.status, status::redeemed);
    EXPECT_EQ(before.remaining_uses, 1);
    EXPECT_EQ(before.remaining_units, 1);
    EXPECT_FALSE(guard.check(1, "SAVE10").remaining_units) << "no cap";
    EXPECT_EQ(guard.check(1, "NONE").status, status::not_found);
    EXPECT_EQ(rows_of("1"), "0");
    ASSERT_TRUE(guard.redeem(1, "ONE").redeemed());
    EXPECT_EQ(guard.check(1, "ONE").remaining_uses, 0);
    EXPECT_EQ(guard.check(2, "ONE").status, status::sold_out);
}

} // namespace

} // namespace coupon_guard_tests
