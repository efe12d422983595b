#include <coupon_guard/user_id.hpp>

#include <limits>
#include <stdexcept>

#include <gtest/gtest.h>

namespace {

using coupon_guard::user_id;
using coupon_guard::uuid;

constexpr char canonical[] = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

TEST(Uuid, IsWrittenAsPostgresWritesIt) {
    EXPECT_EQ(uuid::parse("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11").to_string(), canonical);
    EXPECT_EQ(uuid::parse("a0eebc999c0b4ef8bb6d6bb9bd380a11").to_string(), canonical);
}

TEST(Uuid, IsMadeOfItsBytes) {
    const uuid::bytes bytes{0xa0, 0xee, 0xbc, 0x99, 0x9c, 0x0b, 0x4e, 0xf8,
                            0xbb, 0x6d, 0x6b, 0xb9, 0xbd, 0x38, 0x0a, 0x11};
    EXPECT_EQ(uuid{bytes}.to_string(), canonical);
    EXPECT_EQ(uuid::parse(canonical), uuid{bytes});
}

TEST(Uuid, WhatIsNoneIsRefused) {
    for (const char *text :
         {"", "a0eebc99", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1",
          "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
          "a0eebc9-99c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc999c0b4ef8bb6d6bb9bd380a1-"})
        EXPECT_THROW(uuid::parse(text), std::invalid_argument) << text;
}

TEST(UserId, RemembersWhichOverloadIsMeant) {
    EXPECT_STREQ(user_id{42}.sql_type(), "bigint");
    EXPECT_STREQ(user_id{std::int64_t{42}}.sql_type(), "bigint");
    EXPECT_STREQ(user_id{"42"}.sql_type(), "text");
    EXPECT_STREQ(user_id{std::string{"42"}}.sql_type(), "text");
    EXPECT_STREQ(user_id{uuid::parse(canonical)}.sql_type(), "uuid");
}

TEST(UserId, IntegersKeepTheirSignAndTheirLastDigit) {
    EXPECT_EQ(user_id{std::numeric_limits<std::int64_t>::min()}.text(), "-9223372036854775808");
    EXPECT_EQ(user_id{std::numeric_limits<std::int64_t>::max()}.text(), "9223372036854775807");
}

} // namespace
