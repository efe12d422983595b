#include "place/conninfo.hpp"

#include <stdexcept>

#include <gtest/gtest.h>

namespace {

using namespace coupon_race;

TEST(Conninfo, ValuesSurviveTheWayThroughLibpq) {
    const conninfo parts{{"host", "/tmp/with space"},
                         {"password", "it's \\ a secret"},
                         {"user", ""},
                         {"dbname", "a=b"}};
    EXPECT_EQ(parse_conninfo(format_conninfo(parts)), parts);
}

TEST(Conninfo, ValuesAreQuoted) {
    EXPECT_EQ(quote_conninfo_value("plain"), "'plain'");
    EXPECT_EQ(quote_conninfo_value("it's"), "'it\\'s'");
    EXPECT_EQ(quote_conninfo_value("back\\slash"), "'back\\\\slash'");
}

TEST(Conninfo, AnotherDatabaseOnTheSameServer) {
    const conninfo parts = with_database({{"host", "db"}, {"dbname", "shop"}}, "race");
    EXPECT_EQ(parts, (conninfo{{"host", "db"}, {"dbname", "race"}}));
}

TEST(Conninfo, WhatLibpqDoesNotUnderstandIsSaidInItsWords) {
    try {
        parse_conninfo("hots=db");
        FAIL() << "no exception";
    } catch (const std::invalid_argument &caught) {
        EXPECT_NE(std::string{caught.what()}.find("hots"), std::string::npos);
        EXPECT_EQ(std::string{caught.what()}.find('\n'), std::string::npos);
    }
}

} // namespace
