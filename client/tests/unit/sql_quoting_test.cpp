#include "sql_quoting.hpp"

#include <gtest/gtest.h>

namespace {

using coupon_guard::quote_identifier;
using coupon_guard::quote_literal;

TEST(SqlQuoting, IdentifiersKeepEveryCharacter) {
    EXPECT_EQ(quote_identifier("promo"), "\"promo\"");
    EXPECT_EQ(quote_identifier("Sale 2026"), "\"Sale 2026\"");
    EXPECT_EQ(quote_identifier("a\"b"), "\"a\"\"b\"");
    EXPECT_EQ(quote_identifier("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
}

TEST(SqlQuoting, LiteralsDoNotDependOnStandardConformingStrings) {
    EXPECT_EQ(quote_literal("SAVE10"), "'SAVE10'");
    EXPECT_EQ(quote_literal("it's"), "'it''s'");
    EXPECT_EQ(quote_literal("\\' OR 1"), " E'\\\\'' OR 1'");
}

} // namespace
