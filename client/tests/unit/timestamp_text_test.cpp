#include "timestamp_text.hpp"

#include <gtest/gtest.h>

namespace {

using coupon_guard::parse_timestamp;

/// Microseconds from 1970, or -1: none.
std::int64_t read(std::string_view text) {
    const auto moment = parse_timestamp(text);
    return moment ? moment->time_since_epoch().count() : -1;
}

TEST(TimestampText, IsReadInAnyTimeZone) {
    constexpr std::int64_t moment = 1796040006500000;
    EXPECT_EQ(read("2026-11-30 12:00:06.5+00"), moment);
    EXPECT_EQ(read("2026-11-30 12:00:06.500000+00"), moment);
    EXPECT_EQ(read("2026-11-30 13:00:06.5+01"), moment);
    EXPECT_EQ(read("2026-11-30 17:30:06.5+05:30"), moment);
    EXPECT_EQ(read("2026-11-30 08:30:06.5-03:30"), moment);
    EXPECT_EQ(read("2026-12-01 00:00:06.5+12"), moment);
    EXPECT_EQ(read("2026-11-30 12:19:38.5+00:19:32"), moment);
    EXPECT_EQ(read("2026-11-30 12:00:06+00"), moment - 500000);
    EXPECT_EQ(read("2026-11-30 12:00:06.000001+00"), moment - 499999);
}

TEST(TimestampText, KnowsTheCalendar) {
    constexpr std::int64_t day = 86400000000;
    EXPECT_EQ(read("1970-01-01 00:00:00+00"), 0);
    EXPECT_EQ(read("1970-03-01 00:00:00+00"), 59 * day);
    EXPECT_EQ(read("2000-02-29 00:00:00+00"), 11016 * day);
    EXPECT_EQ(read("2000-03-01 00:00:00+00"), 11017 * day);
    EXPECT_EQ(read("2024-12-31 00:00:00+00"), 20088 * day);
    EXPECT_EQ(read("2100-03-01 00:00:00+00"), 47541 * day);
    EXPECT_EQ(read("10000-01-01 00:00:00+00"), 2932897 * day);
}

TEST(TimestampText, IsNoneInAnyOtherForm) {
    for (const char *text :
         {"", "infinity", "-infinity", "2026-11-30", "2026-11-30 12:00:06", "2026-11-30 12:00+00",
          "Mon Nov 30 12:00:06.5 2026 UTC", "30.11.2026 12:00:06.5 UTC",
          "11/30/2026 12:00:06.5 UTC", "0044-03-15 12:00:00+00 BC", "2026-11-30T12:00:06+00",
          "2026-11-30 12:00:06.+00", "2026-11-30 12:00:06+0",
          "2026-11-30 12:00:06+00:", "2026-11-30 12:00:06+00 "})
        EXPECT_EQ(read(text), -1) << text;
}

} // namespace
