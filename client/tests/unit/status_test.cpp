#include <coupon_guard/status.hpp>

#include <gtest/gtest.h>

namespace {

using coupon_guard::parse_status;
using coupon_guard::status;
using coupon_guard::to_string;

TEST(Status, EveryStatusIsReadBackFromItsSqlName) {
    for (const status each :
         {status::redeemed, status::held, status::not_found, status::inactive, status::not_started,
          status::expired, status::already_redeemed, status::sold_out, status::withheld,
          status::voided, status::insufficient, status::reserved, status::claimed, status::released,
          status::throttled, status::unavailable})
        EXPECT_EQ(parse_status(to_string(each)), each) << to_string(each);
}

TEST(Status, IsSpelledAsInSql) {
    EXPECT_EQ(to_string(status::redeemed), "redeemed");
    EXPECT_EQ(to_string(status::already_redeemed), "already_redeemed");
    EXPECT_EQ(to_string(status::insufficient), "insufficient");
    EXPECT_EQ(to_string(status::reserved), "reserved");
    EXPECT_EQ(to_string(status::claimed), "claimed");
    EXPECT_EQ(to_string(status::released), "released");
    EXPECT_EQ(to_string(status::throttled), "throttled");
    EXPECT_EQ(to_string(status::unavailable), "unavailable");
}

TEST(Status, AnUnknownNameIsNoStatus) {
    EXPECT_FALSE(parse_status("given_away"));
    EXPECT_FALSE(parse_status(""));
    EXPECT_FALSE(parse_status("Redeemed"));
}

} // namespace
