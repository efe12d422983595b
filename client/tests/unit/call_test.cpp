#include "request.hpp"

#include <gtest/gtest.h>

namespace {

using namespace coupon_guard;

function_call redeem_call(const user_id &user, const std::string &code,
                          const redeem_options &options = {}) {
    return redeem_request(user, code, options, "").call;
}

TEST(FunctionCall, SharesAStatementWithCallsOfTheSameArguments) {
    const std::string kind = redeem_call(1, "A").kind();
    EXPECT_EQ(redeem_call(2, "B", {"id", "{}"}).kind(), kind) << "what is left out is NULL";
    EXPECT_NE(redeem_call("2", "B").kind(), kind) << "another overload";
    EXPECT_NE(redeem_request(1, "A", {}, "promo").call.kind(), kind);
    EXPECT_NE(confirm_request(1, {}, "").call.kind(), kind);

    hold_options ten_minutes;
    ten_minutes.ttl = std::chrono::minutes{10};
    EXPECT_NE(hold_request(1, "A", ten_minutes, "").call.kind(),
              hold_request(1, "A", {}, "").call.kind())
        << "the ttl's default is not NULL";
}

TEST(FunctionCall, WithAnAmountIsOfAKindOfItsOwn) {
    redeem_options options;
    const std::string without = redeem_call(1, "A", options).kind();
    options.up_to = true;
    EXPECT_EQ(redeem_call(1, "A", options).kind(), without) << "up to nothing";
    options.amount = 1;
    const std::string kind = redeem_call(1, "A", options).kind();
    EXPECT_NE(kind, without);
    options = {"id", "{}", 9223372036854775807, false};
    EXPECT_EQ(redeem_call(2, "B", options).kind(), kind) << "whole or up to it";

    hold_options held;
    held.ttl = std::chrono::minutes{10};
    const std::string hold_without = hold_request(1, "A", held, "").call.kind();
    held.amount = 1;
    const std::string hold_kind = hold_request(1, "A", held, "").call.kind();
    EXPECT_NE(hold_kind, hold_without);
    held.ttl.reset();
    EXPECT_EQ(hold_request(1, "A", held, "").call.kind(), hold_kind)
        << "with an amount there is always a ttl";

    const auto several = [](const std::vector<std::optional<std::int64_t>> &amounts) {
        return redeem_coupons_request(1, {"A", "B"}, amounts, {}, "").call.kind();
    };
    EXPECT_NE(several({1, {}}), several({}));
    EXPECT_EQ(several({1, {}}), several({2, 3}));

    EXPECT_NE(confirm_request(1, 1, "").call.kind(), confirm_request(1, {}, "").call.kind());
    EXPECT_NE(void_request(1, 1, {}, "").call.kind(), void_request(1, {}, {}, "").call.kind());
    EXPECT_EQ(void_request(1, 1, "why", "").call.kind(), void_request(1, 1, {}, "").call.kind());
}

TEST(FunctionCall, IsOrderedByTheCouponAndThenTheUser) {
    const auto order = [](const user_id &user, const std::string &code) {
        return redeem_call(user, code).lock_order();
    };
    EXPECT_LT(order(2, "A"), order(1, "B"));
    EXPECT_LT(order("1", "A"), order("2", "A"));
    EXPECT_EQ(order(1, " save10 "), order(1, "SAVE10")) << "one coupon";
    EXPECT_EQ(order(1, "SAVE10"), order("1", "SAVE10")) << "one user";
    EXPECT_LT(order(1, "A"), order(1, "A1")) << "the user is no part of the code";
    EXPECT_NE(redeem_coupons_request(1, {"A", "B"}, {}, {}, "").call.lock_order(),
              redeem_coupons_request(1, {}, {}, {}, "").call.lock_order());
    EXPECT_NE(confirm_request(1, {}, "").call.lock_order(),
              confirm_request(2, {}, "").call.lock_order());
}

TEST(FunctionCall, OfACampaignIsOrderedByItsNameAndThenTheUser) {
    const auto order = [](const user_id &user, const std::string &campaign) {
        return claim_request(user, campaign, "").call.lock_order();
    };
    EXPECT_LT(order(2, "Spring"), order(1, "Summer"));
    EXPECT_LT(order("1", "Spring"), order("2", "Spring"));
    EXPECT_EQ(order(1, " spring "), order(1, "SPRING")) << "one campaign";
    EXPECT_LT(release_request(2, "Spring", "").call.lock_order(),
              release_request(1, "Summer", "").call.lock_order());
}

TEST(Request, AClaimMayBeAskedForAgainAndItsReleaseMayNot) {
    EXPECT_TRUE(claim_request(1, "Spring", "").is_repeatable);
    EXPECT_FALSE(release_request(1, "Spring", "").is_repeatable)
        << "the user may have claimed anew meanwhile";
    EXPECT_NE(claim_request(1, "Spring", "").call.kind(),
              release_request(1, "Spring", "").call.kind());
}

TEST(FunctionCall, WithAByteThatMayBeHalfOfACharacterIsMadeAlone) {
    EXPECT_TRUE(redeem_call(1, "\\a\"b\\\\").fits_in_array());
    EXPECT_TRUE(redeem_call(1, "caf\xc3\xa9").fits_in_array());
    EXPECT_FALSE(redeem_call(1, "\x83\x5c").fits_in_array()) << "one character in SJIS";
    EXPECT_FALSE(redeem_call("\x83\x5c", "A").fits_in_array());
    EXPECT_FALSE(redeem_call(1, "A", {"\x83\x5c"}).fits_in_array());
}

} // namespace
