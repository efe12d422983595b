/// Amounts and budgets: typed as they are in SQL.

#include <chrono>
#include <optional>
#include <string>

#include <coupon_guard/client.hpp>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using namespace std::chrono_literals;

redeem_options worth(std::int64_t amount, const std::optional<std::string> &request_id = {}) {
    redeem_options options;
    options.request_id = request_id;
    options.amount = amount;
    return options;
}

redeem_options up_to(std::int64_t amount, const std::optional<std::string> &request_id = {}) {
    redeem_options options = worth(amount, request_id);
    options.up_to = true;
    return options;
}

hold_options held_worth(std::int64_t amount) {
    hold_options options;
    options.amount = amount;
    return options;
}

class Amount : public GuardedTest {
  protected:
    Amount() { run("INSERT INTO coupon (code, budget, max_per_user) VALUES ('CARD', 5000, NULL)"); }

    std::string left() {
        return ask("SELECT remaining_budget FROM coupon_usage WHERE code = 'CARD'");
    }

    template <typename Call>
    static void expect_misuse(const std::string &sqlstate, Call call) {
        try {
            call();
            ADD_FAILURE() << "no exception, expected " << sqlstate;
        } catch (const misuse &caught) {
            EXPECT_EQ(caught.sqlstate(), sqlstate) << caught.what();
        }
    }
};

TEST_F(Amount, IsGivenWholeOrWhatIsLeftIsTold) {
    client guard{connection()};
    const redemption first = guard.redeem(1, "CARD", worth(3000));
    ASSERT_TRUE(first.redeemed());
    EXPECT_EQ(first.amount, 3000);
    const redemption second = guard.redeem(1, "CARD", worth(3000));
    EXPECT_EQ(second.status, status::insufficient);
    EXPECT_FALSE(second.redeemed());
    EXPECT_EQ(second.amount, 2000);
    EXPECT_FALSE(second.redemption_id);
    EXPECT_EQ(left(), "2000");
}

TEST_F(Amount, UpToItTakesWhatThereIs) {
    client guard{connection()};
    EXPECT_EQ(guard.redeem(1, "CARD", up_to(3000)).amount, 3000);
    const redemption rest = guard.redeem(2, "CARD", up_to(3000));
    ASSERT_TRUE(rest.redeemed());
    EXPECT_EQ(rest.amount, 2000);
    const redemption none = guard.redeem(2, "CARD", up_to(1));
    EXPECT_EQ(none.status, status::sold_out);
    EXPECT_FALSE(none.amount);
}

TEST_F(Amount, ARetryGetsTheAmountOfTheFirstTime) {
    client guard{connection()};
    ASSERT_EQ(guard.redeem(1, "CARD", up_to(6200, "order-1")).amount, 5000);
    const redemption again = guard.redeem(1, "CARD", up_to(100, "order-1"));
    EXPECT_TRUE(again.replayed);
    EXPECT_EQ(again.amount, 5000);
}

TEST_F(Amount, OfACouponWithoutABudgetItIsRecorded) {
    client guard{connection()};
    EXPECT_EQ(guard.redeem(1, "SAVE10", worth(9223372036854775807)).amount, 9223372036854775807);
    EXPECT_EQ(ask("SELECT amount FROM coupon_redemption"), "9223372036854775807");
    EXPECT_FALSE(guard.redeem(2, "SAVE10").amount);
}

TEST_F(Amount, BelowOneOrMissingIsMisuseAndSoIsWhereThereIsNone) {
    client guard{connection()};
    expect_misuse("22023", [&] { guard.redeem(1, "CARD", worth(0)); });
    expect_misuse("22023", [&] { guard.redeem(1, "CARD", worth(-1)); });
    expect_misuse("22004", [&] { guard.redeem(1, "CARD"); });
    redeem_options no_amount;
    no_amount.up_to = true;
    expect_misuse("22004", [&] { guard.redeem(1, "CARD", no_amount); });
    EXPECT_TRUE(guard.redeem(1, "SAVE10", no_amount).redeemed()) << "as without up_to";

    expect_misuse("22023", [&] { guard.redeem_coupons(1, {"SAVE10"}, worth(100)); });
    expect_misuse("22023", [&] { guard.redeem_coupons(1, {"SAVE10", "CARD"}, {}, {100}); });
    hold_options options = held_worth(100);
    options.up_to = true;
    expect_misuse("22023", [&] { guard.hold(1, "CARD", options); });
    EXPECT_EQ(left(), "5000");
}

TEST_F(Amount, HeldItMayBeConfirmedForLess) {
    client guard{connection()};
    const redemption held = guard.hold(1, "CARD", held_worth(4000));
    ASSERT_TRUE(held.held());
    EXPECT_EQ(held.amount, 4000);
    EXPECT_EQ(ask("SELECT hold_expires_at - redeemed_at > interval '14 minutes'"
                  " AND hold_expires_at - redeemed_at < interval '16 minutes'"
                  " FROM coupon_redemption"),
              "t")
        << "as long as without an amount";
    const redemption refused = guard.hold(2, "CARD", held_worth(1001));
    EXPECT_EQ(refused.status, status::insufficient);
    EXPECT_EQ(refused.amount, 1000);

    const std::int64_t id = held.redemption_id.value();
    expect_misuse("22023", [&] { guard.confirm(id, 4001); });
    const redemption confirmed = guard.confirm(id, 2500);
    ASSERT_TRUE(confirmed.redeemed());
    EXPECT_EQ(confirmed.amount, 2500);
    EXPECT_EQ(left(), "2500");
    EXPECT_EQ(guard.confirm(id, 1).amount, 2500) << "it is a redemption already";
}

TEST_F(Amount, HeldForAsLongAsIsAskedForAndConfirmedByRedeeming) {
    client guard{connection()};
    hold_options options = held_worth(4000);
    options.ttl = 1h;
    ASSERT_TRUE(guard.hold(1, "CARD", options).held());
    EXPECT_EQ(ask("SELECT hold_expires_at - redeemed_at > interval '59 minutes'"
                  " FROM coupon_redemption"),
              "t");
    options.amount = 1000;
    const redemption confirmed = guard.redeem(1, "CARD", options);
    ASSERT_TRUE(confirmed.redeemed());
    EXPECT_EQ(confirmed.amount, 1000);
    EXPECT_EQ(left(), "4000");
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "1");
}

TEST_F(Amount, APartComesBackAndThenTheRest) {
    client guard{connection()};
    const std::int64_t id = guard.redeem(1, "CARD", worth(3000)).redemption_id.value();
    EXPECT_TRUE(guard.void_redemption(id, {}, 1000));
    EXPECT_EQ(left(), "3000");
    expect_misuse("22023", [&] { guard.void_redemption(id, {}, 2001); });
    EXPECT_TRUE(guard.void_redemption(id, "all of it", 2000));
    EXPECT_FALSE(guard.void_redemption(id, {}, 1));
    EXPECT_EQ(left(), "5000");
    EXPECT_EQ(ask("SELECT void_reason FROM coupon_redemption"), "all of it");
}

TEST_F(Amount, SeveralCouponsHaveOneEach) {
    client guard{connection()};
    const redemptions refused = guard.redeem_coupons(1, {"SAVE10", "CARD"}, {}, {{}, 6000});
    EXPECT_FALSE(refused.redeemed());
    EXPECT_EQ(refused.coupons[0].status, status::withheld);
    EXPECT_EQ(refused.coupons[1].status, status::insufficient);
    EXPECT_EQ(refused.coupons[1].amount, 5000);

    redeem_options as_far_as_it_goes{"order-1"};
    as_far_as_it_goes.up_to = true;
    const redemptions got =
        guard.redeem_coupons(1, {"SAVE10", "CARD"}, as_far_as_it_goes, {{}, 6000});
    ASSERT_TRUE(got.redeemed());
    EXPECT_FALSE(got.coupons[0].amount);
    EXPECT_EQ(got.coupons[1].amount, 5000);
    EXPECT_EQ(left(), "0");
}

TEST_F(Amount, OfCouponAndCampaignTheOneThatRefusesIsTold) {
    run("INSERT INTO campaign (id, name, budget, max_redemptions) VALUES (1, 'Spring', 1000, 5);"
        "UPDATE coupon SET campaign_id = 1");
    client guard{connection()};
    const redemption by_campaign = guard.redeem(1, "CARD", worth(1001));
    EXPECT_EQ(by_campaign.status, status::insufficient);
    EXPECT_EQ(by_campaign.amount, 1000);
    EXPECT_EQ(by_campaign.limited_by, limited_by::campaign);
    EXPECT_FALSE(guard.redeem(1, "CARD", worth(10)).limited_by) << "it is redeemed";
    run("UPDATE coupon SET budget = 20 WHERE code = 'CARD'");
    const redemption by_coupon = guard.hold(1, "CARD", held_worth(11));
    EXPECT_EQ(by_coupon.status, status::insufficient);
    EXPECT_EQ(by_coupon.limited_by, limited_by::coupon);
    run("UPDATE campaign SET active = false");
    EXPECT_EQ(guard.check(1, "CARD").limited_by, limited_by::campaign);
}

TEST_F(Amount, InTheCallersTransactionAllStandAndFallWithIt) {
    pqxx::connection mine{connection()};
    {
        pqxx::work transaction{mine};
        EXPECT_EQ(redeem(transaction, 1, "CARD", up_to(6000)).amount, 5000);
        const auto id =
            transaction.exec("SELECT id FROM coupon_redemption")[0][0].as<std::int64_t>();
        EXPECT_TRUE(void_redemption(transaction, id, {}, {}, 4000));
        const redemption held = hold(transaction, 2, "CARD", held_worth(4000));
        ASSERT_TRUE(held.held());
        EXPECT_EQ(confirm(transaction, held.redemption_id.value(), {}, 3000).amount, 3000);
        EXPECT_EQ(check(transaction, 3, "CARD").remaining_budget, 1000);
        EXPECT_EQ(redeem_coupons(transaction, 3, {"CARD"}, {}, {}, {100}).coupons[0].amount, 100);
        transaction.abort();
    }
    EXPECT_EQ(left(), "5000");
}

TEST_F(Amount, LookingTellsWhatIsLeft) {
    client guard{connection()};
    EXPECT_EQ(guard.check(1, "CARD").remaining_budget, 5000);
    EXPECT_FALSE(guard.check(1, "SAVE10").remaining_budget) << "no budget";
    ASSERT_TRUE(guard.redeem(1, "CARD", worth(5000)).redeemed());
    const availability after = guard.check(1, "CARD");
    EXPECT_EQ(after.status, status::sold_out);
    EXPECT_EQ(after.remaining_budget, 0);
}

TEST_F(Amount, AHolderIsTheOnlyOneWhoMayHaveIt) {
    run("UPDATE coupon SET holder = '1' WHERE code = 'CARD'");
    client guard{connection()};
    EXPECT_EQ(guard.redeem(2, "CARD", worth(1)).status, status::reserved);
    EXPECT_TRUE(guard.redeem(1, "CARD", worth(1)).redeemed());
}

TEST_F(Amount, WithoutOneTheFunctionIsThatOfTheFirstVersion) {
    run("DROP ROLE IF EXISTS till; CREATE ROLE till LOGIN;"
        "GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, text, jsonb) TO till");
    client guard{connection() + " user=till"};
    EXPECT_TRUE(guard.redeem(1, "SAVE10").redeemed());
    EXPECT_THROW(guard.redeem(2, "SAVE10", worth(1)), not_permitted);
    run("GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, bigint, jsonb, text, boolean)"
        " TO till");
    EXPECT_TRUE(guard.redeem(2, "SAVE10", worth(1)).redeemed());
    run("DROP OWNED BY till; DROP ROLE till");
}

/// Functions that answer as those of some version of the extension do.
class OtherVersion : public DatabaseTest {
  protected:
    /// `later` are the columns after those of 0.1.0.
    void answer(const std::string &status, const std::string &later) {
        run("CREATE OR REPLACE VIEW answer AS SELECT '" + status +
            "' AS status, 1::bigint AS redemption_id, 1::bigint AS coupon_id, 1 AS use_no,"
            " now() AS redeemed_at, NULL::jsonb AS terms, false AS replayed" +
            later +
            ";CREATE FUNCTION redeem_coupon(user_id bigint, code text) RETURNS answer"
            " LANGUAGE sql AS 'SELECT * FROM answer';"
            "CREATE VIEW looked AS SELECT '" +
            status +
            "' AS status, 1::bigint AS coupon_id, 1 AS remaining_uses, 1::bigint AS"
            " remaining_units" +
            later +
            ";CREATE FUNCTION check_coupon(user_id bigint, code text) RETURNS looked"
            " LANGUAGE sql AS 'SELECT * FROM looked'");
    }
};

TEST_F(OtherVersion, AnEarlierOneSaysLess) {
    answer("sold_out", "");
    client guard{connection()};
    const redemption got = guard.redeem(1, "SAVE10");
    EXPECT_EQ(got.status, status::sold_out);
    EXPECT_FALSE(got.amount);
    EXPECT_FALSE(got.limited_by);
    EXPECT_FALSE(got.retry_at);
    EXPECT_FALSE(guard.check(1, "SAVE10").remaining_budget);
    EXPECT_FALSE(guard.check(1, "SAVE10").limited_by);
}

TEST_F(OtherVersion, ALaterOneSaysWhoseLimitItIs) {
    answer("insufficient", ", 7::bigint AS amount, 'campaign' AS limited_by, 0 AS more");
    client guard{connection()};
    EXPECT_EQ(guard.redeem(1, "SAVE10").amount, 7);
    EXPECT_EQ(guard.redeem(1, "SAVE10").limited_by, limited_by::campaign);
    EXPECT_EQ(guard.check(1, "SAVE10").limited_by, limited_by::campaign);
}

TEST_F(OtherVersion, AShardSaysThatOthersMayHaveMore) {
    answer("sold_out", ", 'shard' AS limited_by");
    client guard{connection()};
    EXPECT_EQ(guard.redeem(1, "SAVE10").limited_by, limited_by::shard);
    EXPECT_EQ(guard.check(1, "SAVE10").limited_by, limited_by::shard);
}

TEST_F(OtherVersion, WhoIsThrottledIsToldWhenToComeAgain) {
    answer("throttled", ", '2026-11-30 12:00:06.5+00'::timestamptz AS retry_at");
    const timestamp moment{std::chrono::microseconds{1796040006500000}};
    for (const std::string zone : {"UTC", "Asia/Kolkata", "America/St_Johns"}) {
        client guard{connection() + " options='-c TimeZone=" + zone + "'"};
        EXPECT_EQ(guard.redeem(1, "SAVE10").status, status::throttled);
        EXPECT_EQ(guard.redeem(1, "SAVE10").retry_at, moment) << zone;
        EXPECT_EQ(guard.check(1, "SAVE10").retry_at, moment) << zone;
    }
    client german{connection() + " options='-c DateStyle=German'"};
    EXPECT_EQ(german.redeem(1, "SAVE10").status, status::throttled);
    EXPECT_FALSE(german.redeem(1, "SAVE10").retry_at);
}

TEST_F(OtherVersion, ALimitThatIsNotKnownIsAnUnexpectedAnswer) {
    answer("sold_out", ", 'house' AS limited_by");
    client guard{connection()};
    EXPECT_THROW(guard.redeem(1, "SAVE10"), unexpected_answer);
}

} // namespace

} // namespace coupon_guard_tests
