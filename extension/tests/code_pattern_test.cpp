// What a pattern is, which alphabets there can be, and how many codes a pattern holds.

#include "code_pattern_helpers.hpp"

#include <cmath>
#include <set>

using namespace coupon_guard;
using namespace coupon_guard::testing;

namespace {

std::string first_code(std::string_view pattern, std::string_view alphabet) {
    random_bytes zeroes = source_of([](void *bytes, std::size_t count) {
        std::memset(bytes, 0, count);
        return true;
    });
    return draw(*parse(pattern, alphabet), false, zeroes);
}

} // namespace

TEST(CodePattern, AllButAQuestionMarkStandsForItself) {
    EXPECT_EQ(first_code("SAVE-??+?!", "AB"), "SAVE-AA+A!");
    EXPECT_EQ(first_code("?", "AB"), "A");
    EXPECT_EQ(first_code("*_%[a-z]?", "AB"), "*_%[a-z]A");
}

TEST(CodePattern, ABackslashMakesAQuestionMarkALiteral) {
    EXPECT_EQ(first_code("WHY\\?-?", "AB"), "WHY?-A");
    EXPECT_EQ(first_code("\\\\?", "AB"), "\\A");
    EXPECT_EQ(first_code("\\\\\\??", "AB"), "\\?A");
    EXPECT_EQ(error_of("\\?", "AB"), code_pattern_error::no_place);
    EXPECT_EQ(error_of("?\\", "AB"), code_pattern_error::bad_escape);
    EXPECT_EQ(error_of("\\A?", "AB"), code_pattern_error::bad_escape);
}

TEST(CodePattern, WithoutAPlaceItHoldsNoCodes) {
    EXPECT_EQ(error_of("", "AB"), code_pattern_error::no_place);
    EXPECT_EQ(error_of("SAVE10", "AB"), code_pattern_error::no_place);
}

TEST(CodePattern, ACodeIsNoLongerThanCodesCanBe) {
    EXPECT_EQ(error_of(repeat("?", max_code_key_bytes), "AB"), code_pattern_error::none);
    EXPECT_EQ(error_of(repeat("?", max_code_key_bytes + 1), "AB"), code_pattern_error::too_long);
    EXPECT_EQ(error_of("?" + repeat("x", max_code_key_bytes), "AB"), code_pattern_error::too_long);
    EXPECT_EQ(error_of(repeat("x", 2000) + "?", "AB"), code_pattern_error::too_long);
    EXPECT_EQ(error_of("?" + repeat(" ", 900) + "?", "AB"), code_pattern_error::too_long);
    const std::string wide = ideographs(2); // of three bytes
    EXPECT_EQ(error_of(repeat("?", 85), wide), code_pattern_error::none);
    EXPECT_EQ(error_of(repeat("?", 86), wide), code_pattern_error::too_long);
    EXPECT_EQ(error_of(repeat("?", 86), "A" + wide), code_pattern_error::too_long);
    EXPECT_EQ(error_of(repeat("?", 85), wide, code_key_form::ascii), code_pattern_error::none);
    EXPECT_EQ(error_of(repeat("?", 86), wide, code_key_form::ascii), code_pattern_error::too_long);
}

TEST(CodePattern, CharactersOfTheAlphabetMakeDifferentCodes) {
    const auto parsed = parse("?", "abcA");
    EXPECT_EQ(parsed->error, code_pattern_error::characters_same);
    EXPECT_EQ(parsed->character, 0);
    EXPECT_EQ(parsed->other, 3);
    EXPECT_EQ(error_of("?", "AA"), code_pattern_error::characters_same);
    EXPECT_EQ(error_of("?", "K" + utf8({0x212A})), code_pattern_error::characters_same); // kelvin
    EXPECT_EQ(error_of("?", "A" + utf8({0xFF41})), code_pattern_error::characters_same); // wide
    EXPECT_EQ(error_of("?", utf8({0x430, 0x410})), code_pattern_error::characters_same);
    EXPECT_EQ(error_of("?", utf8({0x430, 'A'})), code_pattern_error::none); // only look alike
}

TEST(CodePattern, AnAlphabetHasTwoCharactersAtLeast) {
    EXPECT_EQ(error_of("?", ""), code_pattern_error::alphabet_too_small);
    EXPECT_EQ(error_of("?", "A"), code_pattern_error::alphabet_too_small);
    EXPECT_EQ(error_of("?", ideographs(256)), code_pattern_error::none);
    EXPECT_EQ(error_of("?", ideographs(257)), code_pattern_error::alphabet_too_large);
}

TEST(CodePattern, ACharacterThatVanishesIsRefused) {
    for (const std::string &nothing :
         {std::string(" "), std::string("\t"), utf8({0x3000}), utf8({0x200B}), utf8({0xAD})}) {
        const auto parsed = parse("?", "AB" + nothing);
        EXPECT_EQ(parsed->error, code_pattern_error::character_vanishes);
        EXPECT_EQ(parsed->character, 2);
    }
}

TEST(CodePattern, ACharacterWhoseKeyIsSeveralIsRefused) {
    EXPECT_EQ(error_of("?", "A" + utf8({0xDF})), code_pattern_error::character_expands);
    EXPECT_EQ(error_of("?", "A" + utf8({0xFB01})), code_pattern_error::character_expands);
    EXPECT_EQ(error_of("?", "A" + utf8({0xDF}), code_key_form::ascii),
              code_pattern_error::character_expands);
    EXPECT_EQ(error_of("?", "A" + utf8({0x378})), code_pattern_error::character_unassigned);
}

TEST(CodePattern, ACharacterThatJoinsItsNeighbourIsRefused) {
    EXPECT_EQ(error_of("??", "ab" + utf8({0x301})), code_pattern_error::character_joins);
    EXPECT_EQ(error_of("??", utf8({0x1100, 0x1161})), code_pattern_error::character_joins);
    EXPECT_EQ(error_of("??", utf8({0x1100, 0x1161}), code_key_form::ascii),
              code_pattern_error::character_joins);
    EXPECT_EQ(error_of("??", utf8({0x1100, 0x1102})), code_pattern_error::none);
    // ... a literal's last or first character
    EXPECT_EQ(error_of(utf8({0x1100}) + "?", utf8({0x1161, 0x1162})),
              code_pattern_error::character_joins);
    EXPECT_EQ(error_of("?" + utf8({0x1161}), utf8({0x1100, 0x1102})),
              code_pattern_error::character_joins);
    EXPECT_EQ(error_of("?" + utf8({0x1161}) + "?", utf8({0x1100, 0x1102})),
              code_pattern_error::character_joins);
    EXPECT_EQ(error_of("?" + utf8({0x301}), "ab"), code_pattern_error::character_joins);
    EXPECT_EQ(error_of("?e" + utf8({0x301}) + "?", "ab"), code_pattern_error::none);
}

TEST(CodePattern, WhatIsNoUtf8IsRefused) {
    EXPECT_EQ(error_of("?", "A\xC3"), code_pattern_error::invalid_utf8);
    EXPECT_EQ(error_of("?", "A\x80"), code_pattern_error::invalid_utf8);
    EXPECT_EQ(error_of("\xC3?", "AB"), code_pattern_error::invalid_utf8);
    EXPECT_EQ(error_of(utf8({0x378}) + "?", "AB"), code_pattern_error::unassigned);
}

TEST(CodePattern, BytesWithoutAMeaningStandInLiteralsOnly) {
    EXPECT_EQ(error_of("\xFF?", "AB", code_key_form::bytewise), code_pattern_error::none);
    EXPECT_EQ(error_of("?", "A\xFF", code_key_form::bytewise),
              code_pattern_error::character_opaque);
}

TEST(CodePattern, CountsItsCodes) {
    EXPECT_EQ(count_codes(*parse("?", "ABC"), false, 0), 3);
    EXPECT_EQ(count_codes(*parse("A?-?", letters_and_digits), false, 0), 961);
    EXPECT_EQ(count_codes(*parse("A?-?", letters_and_digits), false, 2), 923521);
    EXPECT_EQ(count_codes(*parse("??", letters_and_digits), true, 0), 31);
    EXPECT_TRUE(std::isinf(count_codes(*parse("?", ideographs(256)), false, 254)));
    EXPECT_TRUE(std::isinf(count_codes(*parse("?", ideographs(256)), true, 254)));
}

TEST(CodePattern, CountsThoseThatHaveACheckCharacter) {
    for (const char *alphabet : {"AB", "ABC", "ABCD", "ABCDE", "ABCDEF"})
        for (int places = 2; places <= 4; places++) {
            const auto pattern = parse(repeat("?", places), alphabet);
            random_bytes source = source_of(from_one_seed);
            std::set<std::string> codes;
            for (int i = 0; i < 5000; i++) // of at most 216
                codes.insert(draw(*pattern, true, source));
            EXPECT_EQ(codes.size(), count_codes(*pattern, true, 0)) << alphabet << ' ' << places;
        }
}
