#include "report/tables.hpp"

#include <cstdlib>

#include <gtest/gtest.h>

namespace {

using namespace coupon_race;

const table rows{
    {{"strategy", style::bold}, {"redeemed", style::bold}, {"verdict", style::bold}},
    {{"naive"}, {"400"}, {"FAIL", style::bad}},
    {{"redeem_coupon"}, {"200"}, {"pass", style::good}},
};

TEST(TextTable, ColumnsLineUpAndFiguresStandToTheRight) {
    EXPECT_EQ(render_table(rows, false), "strategy       redeemed  verdict\n"
                                         "naive               400  FAIL\n"
                                         "redeem_coupon       200  pass\n");
}

TEST(TextTable, ColourDoesNotMoveAnything) {
    std::string coloured = render_table(rows, true);
    EXPECT_NE(coloured.find("\033[1;31mFAIL\033[0m"), std::string::npos);
    for (std::size_t escape; (escape = coloured.find('\033')) != std::string::npos;)
        coloured.erase(escape, coloured.find('m', escape) - escape + 1);
    EXPECT_EQ(coloured, render_table(rows, false));
}

TEST(Colour, FollowsTheChoiceThenNoColorThenTheTerminal) {
    std::FILE *file = std::tmpfile();
    ASSERT_NE(file, nullptr);
    EXPECT_FALSE(colour_wanted(colour_choice::automatic, file)) << "a file is no terminal";
    EXPECT_TRUE(colour_wanted(colour_choice::always, file));
    setenv("NO_COLOR", "1", 1);
    EXPECT_FALSE(colour_wanted(colour_choice::automatic, file));
    EXPECT_TRUE(colour_wanted(colour_choice::always, file)) << "an option outdoes the environment";
    unsetenv("NO_COLOR");
    EXPECT_FALSE(colour_wanted(colour_choice::never, file));
    std::fclose(file);
}

} // namespace
