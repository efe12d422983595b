#include "place/requirements.hpp"

#include <gtest/gtest.h>

namespace {

using namespace coupon_race;

server_facts good_server() {
    server_facts facts;
    facts.version_number = 150020;
    facts.version = "15.20";
    facts.role = "ann";
    facts.may_create_databases = true;
    facts.extension_available = true;
    facts.extension_needs_superuser = false;
    facts.free_connections = 10;
    return facts;
}

constexpr requirements all_of_it{true, 10};

TEST(Requirements, AGoodServerLacksNothing) {
    EXPECT_TRUE(what_is_missing(good_server(), all_of_it).empty());
}

TEST(Requirements, ARouterNeedsMore) {
    server_facts facts = good_server();
    const requirements of_a_router{true, 10, true};
    auto missing = what_is_missing(facts, of_a_router);
    ASSERT_EQ(missing.size(), 2u);
    EXPECT_NE(missing[0].find("postgresql-VERSION-plproxy"), std::string::npos);
    EXPECT_NE(missing[1].find("coupon_guard_router"), std::string::npos);
    facts.plproxy_available = facts.router_available = true;
    EXPECT_TRUE(what_is_missing(facts, of_a_router).empty());
}

TEST(Requirements, EverythingThatIsMissingIsSaidAtOnce) {
    server_facts facts;
    facts.version_number = 140009;
    facts.version = "14.9";
    facts.role = "ann";
    facts.in_recovery = true;
    facts.free_connections = 3;
    const auto missing = what_is_missing(facts, all_of_it);
    ASSERT_EQ(missing.size(), 5u);
    EXPECT_NE(missing[0].find("14.9"), std::string::npos);
    EXPECT_NE(missing[1].find("standby"), std::string::npos);
    EXPECT_NE(missing[2].find("ALTER ROLE \"ann\" CREATEDB"), std::string::npos);
    EXPECT_NE(missing[3].find("make install"), std::string::npos);
    EXPECT_NE(missing[4].find("10 connections are needed at once, and 3 are free"),
              std::string::npos);
}

TEST(Requirements, AnExtensionThatIsNotTrustedNeedsASuperuser) {
    server_facts facts = good_server();
    facts.extension_needs_superuser = true;
    EXPECT_EQ(what_is_missing(facts, all_of_it).size(), 1u);
    facts.superuser = true;
    EXPECT_TRUE(what_is_missing(facts, all_of_it).empty());
}

TEST(Requirements, WithoutRedeemCouponNoExtensionIsNeeded) {
    server_facts facts = good_server();
    facts.extension_available = false;
    facts.extension_needs_superuser = true;
    EXPECT_TRUE(what_is_missing(facts, {false, 10}).empty());
}

} // namespace
