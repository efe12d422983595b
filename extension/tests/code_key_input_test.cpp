// What callers may throw at it: limits at the byte, malformed UTF-8, random bytes. With the option
// COUPON_GUARD_SANITIZE every read and write out of bounds is found; without, a key is still
// checked to keep its promises.

#include "code_key_helpers.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace coupon_guard;
using namespace coupon_guard::testing;

namespace {

const std::string e_acute = utf8({0xE9});
const std::string zero_width = utf8({0x200B});
const std::string ideographic_space = utf8({0x3000});

} // namespace

TEST(CodeKeyLimits, ACodeHas1024Bytes) {
    for (key_maker make : {make_code_key, make_ascii_code_key, make_bytewise_code_key}) {
        EXPECT_EQ(key_by(make, "x" + std::string(1023, ' ')), "x");
        EXPECT_EQ(key_by(make, "x" + std::string(1024, ' ')), "<too long>");
        EXPECT_EQ(key_by(make, std::string(1 << 20, 'x')), "<too long>");
    }
    EXPECT_EQ(key_of(repeat(zero_width, 341) + "x"), "x");
    EXPECT_EQ(key_of(repeat(zero_width, 341) + "xy"), "<too long>");
}

TEST(CodeKeyLimits, AKeyHas255Bytes) {
    for (key_maker make : {make_code_key, make_ascii_code_key, make_bytewise_code_key}) {
        EXPECT_EQ(key_by(make, std::string(255, 'X')), std::string(255, 'x'));
        EXPECT_EQ(key_by(make, std::string(256, 'X')), "<too long>");
        EXPECT_EQ(
            key_by(make, std::string(300, ' ') + std::string(255, 'X') + std::string(469, ' ')),
            std::string(255, 'x'));
    }
    EXPECT_EQ(key_of(repeat(e_acute, 127) + "x").size(), 255u);
    EXPECT_EQ(key_of(repeat(e_acute, 127) + e_acute), "<too long>");
    EXPECT_EQ(key_of(repeat(utf8({0x20AC}), 85)).size(), 255u);
    EXPECT_EQ(key_of(repeat(utf8({0x20AC}), 85) + "x"), "<too long>");
    EXPECT_EQ(key_of(repeat(utf8({0x1F600}), 63) + "xyz").size(), 255u);
    EXPECT_EQ(key_of(repeat(utf8({0x1F600}), 64)), "<too long>");
}

TEST(CodeKeyLimits, TheyAreTheSameForTheAsciiForm) {
    EXPECT_EQ(ascii_key_of(repeat(e_acute, 127) + "x").size(), 127u * 5 + 1);
    EXPECT_EQ(ascii_key_of(repeat(e_acute, 128)), "<too long>");
    EXPECT_EQ(ascii_key_of(repeat(utf8({0x20AC}), 85)).size(), 85u * 5);
    EXPECT_EQ(ascii_key_of(repeat(utf8({0x1F600}), 63) + "xyz").size(), 63u * 8 + 3);
    EXPECT_EQ(ascii_key_of(std::string(255, '\\')).size(), 510u);
    EXPECT_EQ(ascii_key_of(std::string(256, '\\')), "<too long>");
    EXPECT_EQ(ascii_key_of(repeat(e_acute + "\\", 85)).size(), 85u * 7);
}

// One character that becomes eighteen.
TEST(CodeKeyLimits, AnExpansionCounts) {
    const std::string ligature = utf8({0xFDFA});
    EXPECT_EQ(key_of(repeat(ligature, 7)).size(), 7u * 33);
    EXPECT_EQ(key_of(repeat(ligature, 8)), "<too long>");
    EXPECT_EQ(key_of(repeat(ligature, 341)), "<too long>");
}

// What is decomposed on the way may be longer than the code and than the key.
TEST(CodeKeyLimits, TheWayIsNotLimited) {
    const std::string three_points = utf8({0x390}); // in two bytes
    const std::string longest = repeat(three_points, 127);
    EXPECT_EQ(key_of(longest), longest);
    EXPECT_EQ(key_of(std::string(1024 - longest.size(), ' ') + longest), longest);
    EXPECT_EQ(key_of(longest + std::string(1024 - longest.size(), '\t')), longest);
    EXPECT_EQ(key_of(longest + repeat(ideographic_space, (1024 - longest.size()) / 3)), longest);
}

TEST(CodeKeyInput, MalformedUtf8IsRefused) {
    const std::string_view malformed[] = {
        "\x80",             // a continuation without a start
        "\xBF\xBF",         //
        "\xC3",             // a start without its continuation
        "\xE2\x82",         //
        "\xF0\x9F\x98",     //
        "\xC3(",            // something else instead
        "\xE2(\xAC",        //
        "\xE2\x82(",        //
        "\xF0\x9F\x98(",    //
        "\xC0\x80",         // longer than need be
        "\xC1\xBF",         //
        "\xE0\x80\x80",     //
        "\xE0\x9F\xBF",     //
        "\xF0\x80\x80\x80", //
        "\xF0\x8F\xBF\xBF", //
        "\xED\xA0\x80",     // surrogates
        "\xED\xBF\xBF",     //
        "\xF4\x90\x80\x80", // beyond the last code point
        "\xF5\x80\x80\x80", //
        "\xFE",             // never in UTF-8
        "\xFF",             //
        "\xF8\x88\x80\x80\x80",
        "\xFC\x84\x80\x80\x80\x80",
    };
    for (std::string_view bad : malformed)
        for (const std::string &before : {std::string(), std::string("SAVE"), e_acute})
            for (const std::string &after : {std::string(), std::string("10"), e_acute}) {
                const std::string code = before + std::string(bad) + after;
                EXPECT_EQ(key_of(code), "<invalid>") << ::testing::PrintToString(code);
                EXPECT_EQ(ascii_key_of(code), "<invalid>") << ::testing::PrintToString(code);
            }
}

TEST(CodeKeyInput, EveryCutOfACharacterIsRefused) {
    for (char32_t point : {0xE9u, 0x20ACu, 0x1F600u, 0xFDFAu, 0x200Bu}) {
        const std::string whole = utf8({point});
        for (std::size_t length = 1; length < whole.size(); length++)
            EXPECT_EQ(key_of(whole.substr(0, length)), "<invalid>");
    }
}

TEST(CodeKeyInput, RandomBytesDoNoHarm) {
    std::mt19937 random(20240229); // the same ones in every run
    for (int round = 0; round < 50000; round++) {
        std::string code(random() % 40, '\0');
        for (char &byte : code)
            byte = static_cast<char>(random());
        const std::string bytewise = bytewise_key_of(code);
        EXPECT_LE(bytewise.size(), code.size());
        EXPECT_EQ(bytewise_key_of(bytewise), bytewise);
        key_of(code);
        ascii_key_of(code);
    }
}

// Long strings of random characters: whatever comes out is within the limits and is its own key.
TEST(CodeKeyInput, RandomCharactersKeepTheLimits) {
    std::mt19937 random(20240229);
    int keys = 0;
    for (int round = 0; round < 20000; round++) {
        const std::size_t wanted = random() % 400;
        std::string code;
        while (code.size() < wanted) {
            const auto point =
                static_cast<char32_t>(random() % (round % 2 == 0 ? 0x3000 : last_code_point + 1));
            if (!is_surrogate(point) && is_assigned(point))
                code += utf8({point});
        }
        const std::string key = key_of(code);
        const std::string ascii_key = ascii_key_of(code);
        EXPECT_EQ(key == "<too long>", ascii_key == "<too long>");
        if (key == "<too long>")
            continue;
        keys++;
        EXPECT_LE(key.size(), max_code_key_bytes);
        EXPECT_LE(ascii_key.size(), max_ascii_code_key_bytes);
        EXPECT_EQ(key_of(key), key) << ::testing::PrintToString(code);
    }
    EXPECT_GT(keys, 5000);
}
