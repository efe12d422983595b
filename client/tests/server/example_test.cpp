/// The programs of examples/cpp that scripts/examples does not run: what they say, and what is in
/// the database afterwards.

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

class Example : public DatabaseTest {
  protected:
    Example() {
        run(R"(CREATE SCHEMA promo; CREATE EXTENSION coupon_guard SCHEMA promo;
               INSERT INTO promo.coupon (code, max_redemptions, terms)
                   VALUES ('SAVE10', 5, '{"percent": 10}');
               INSERT INTO promo.coupon (code, budget, max_per_user) VALUES ('CARD', 5000, NULL);
               CREATE TABLE orders (user_id bigint, card_amount bigint, rest bigint))");
    }

    /// What the program says, to either output.
    std::string output_of(const std::string &program, const std::string &arguments) {
        const auto server = test_server().connection();
        const std::string command =
            "PGHOST='" + server.at("host") + "' PGPORT=" + server.at("port") +
            " PGUSER=" + server.at("user") + " PGDATABASE='" + ask("SELECT current_database()") +
            "' '" + program + "' " + arguments + " 2>&1";
        const auto close = [](std::FILE *pipe) { pclose(pipe); };
        const std::unique_ptr<std::FILE, decltype(close)> pipe{popen(command.c_str(), "r"), close};
        std::string output;
        std::array<char, 4096> some{};
        while (std::fgets(some.data(), some.size(), pipe.get()))
            output += some.data();
        return output;
    }
};

TEST_F(Example, RedeemIsReplayedWithItsRequestId) {
    for (int time = 0; time < 2; ++time)
        EXPECT_EQ(output_of(EXAMPLE_REDEEM, "1 SAVE10 click-1"), "worth {\"percent\": 10}\n");
    EXPECT_EQ(output_of(EXAMPLE_REDEEM, "1 SAVE10 click-2"), "already_redeemed\n");
    EXPECT_EQ(ask("SELECT count(*) FROM promo.coupon_redemption"), "1");
}

TEST_F(Example, GroupRedeemsForAllAtOnce) {
    EXPECT_EQ(output_of(EXAMPLE_GROUP, "save10 1 2 3 4 5"),
              "1: redeemed\n2: redeemed\n3: redeemed\n4: redeemed\n5: redeemed\n"
              "and once more: 0\n");
    EXPECT_EQ(output_of(EXAMPLE_GROUP, "save10 6"), "6: sold_out\nand once more: 0\n");
    EXPECT_EQ(ask("SELECT count(*) FROM promo.coupon_redemption"), "5");
}

TEST_F(Example, AGiftCardPaysWhatItHas) {
    EXPECT_EQ(output_of(EXAMPLE_GIFT_CARD, "1 CARD 3000 order-1"), "card 3000, rest 0\n");
    EXPECT_EQ(output_of(EXAMPLE_GIFT_CARD, "1 CARD 3000 order-2"), "card 2000, rest 1000\n");
    EXPECT_EQ(output_of(EXAMPLE_GIFT_CARD, "1 CARD 3000 order-2"), "paid already\n");
    EXPECT_EQ(output_of(EXAMPLE_GIFT_CARD, "1 CARD 3000 order-3"), "sold_out\n");
    EXPECT_EQ(output_of(EXAMPLE_GIFT_CARD, "1 CARD 0 order-4").substr(0, 11), "gift_card: ");
    EXPECT_EQ(ask("SELECT string_agg(card_amount || '+' || rest, ' ' ORDER BY rest) FROM orders"),
              "3000+0 2000+1000");
}

} // namespace

} // namespace coupon_guard_tests
