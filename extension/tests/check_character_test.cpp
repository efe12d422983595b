// The check character finds one wrong character, and two neighbours that have changed places, in
// any spelling of the code.

#include "code_pattern_helpers.hpp"

using namespace coupon_guard;
using namespace coupon_guard::testing;

namespace {

bool is_wrong(const code_pattern &pattern, std::string_view code) {
    switch (pattern.form) {
    case code_key_form::unicode:
        return has_wrong_check_character(pattern, key_of(code));
    case code_key_form::ascii:
        return has_wrong_check_character(pattern, ascii_key_of(code));
    case code_key_form::bytewise:
        break;
    }
    return has_wrong_check_character(pattern, bytewise_key_of(code));
}

// The characters of a code of nothing but places.
std::vector<std::string> characters_of(const std::string &code, std::size_t bytes_each) {
    std::vector<std::string> characters;
    for (std::size_t at = 0; at < code.size(); at += bytes_each)
        characters.push_back(code.substr(at, bytes_each));
    return characters;
}

std::string joined(const std::vector<std::string> &characters) {
    std::string code;
    for (const std::string &character : characters)
        code += character;
    return code;
}

void expect_errors_found(const code_pattern &pattern, const std::vector<std::string> &right) {
    for (std::size_t at = 0; at < right.size(); at++) {
        for (int i = 0; i < pattern.alphabet_size; i++) {
            std::vector<std::string> code = right;
            code[at] = std::string(pattern.alphabet[i].bytes, pattern.alphabet[i].length);
            ASSERT_EQ(is_wrong(pattern, joined(code)), code != right) << joined(code);
        }
        std::vector<std::string> code = right;
        if (at > 0)
            std::swap(code[at - 1], code[at]);
        ASSERT_EQ(is_wrong(pattern, joined(code)), code != right) << joined(code);
    }
}

} // namespace

TEST(CheckCharacter, FindsEveryErrorWhateverTheSizeOfTheAlphabet) {
    for (int size = 2; size <= max_alphabet_size; size += size < 40 ? 1 : 27) {
        const auto pattern = parse(repeat("?", 5), ideographs(size));
        random_bytes source = source_of(from_one_seed);
        for (int i = 0; i < 3; i++)
            expect_errors_found(*pattern, characters_of(draw(*pattern, true, source), 3));
    }
}

TEST(CheckCharacter, FindsEveryErrorInEveryCode) {
    for (std::string_view alphabet : {"01", "012", "0123", "01234", "012345", "0123456789"}) {
        const auto pattern = parse("???", alphabet);
        for (char a : alphabet)
            for (char b : alphabet)
                for (char c : alphabet) {
                    const std::string code = {a, b, c};
                    if (!is_wrong(*pattern, code))
                        expect_errors_found(*pattern, characters_of(code, 1));
                }
    }
}

TEST(CheckCharacter, FindsEveryErrorInACodeAsLongAsCodesGet) {
    const auto pattern = parse(repeat("?", 255), letters_and_digits);
    random_bytes source = source_of(from_one_seed);
    expect_errors_found(*pattern, characters_of(draw(*pattern, true, source), 1));
}

TEST(CheckCharacter, IsRightInEverySpelling) {
    const auto pattern = parse("Gift-????", letters_and_digits);
    EXPECT_FALSE(is_wrong(*pattern, "GIFT-2222"));
    EXPECT_FALSE(is_wrong(*pattern, " gift-2222 "));
    EXPECT_FALSE(is_wrong(*pattern, utf8({0xFF27, 0xFF29}) + "FT-22" + utf8({0x200B}) + "22"));
    EXPECT_TRUE(is_wrong(*pattern, " gift-2223 "));
    EXPECT_TRUE(is_wrong(*pattern, " gift-222z "));
}

TEST(CheckCharacter, OfOtherCodesNothingIsSaid) {
    const auto pattern = parse("GIFT-???"
                               "?-A",
                               letters_and_digits);
    EXPECT_TRUE(is_wrong(*pattern, "GIFT-2345-A"));
    for (const char *other : {"GIFT-234-A", "GIFT-23456-A", "GIFT-2345-", "GIFT-2345-AA",
                              "GIFT-2340-A", "GIFT 2345-A", "SAVE10", "", "GIFT-", "GIFT-234O-A"})
        EXPECT_FALSE(is_wrong(*pattern, other)) << other;
}

TEST(CheckCharacter, IsTheSameInEveryFormOfKeys) {
    const std::string alphabet = "AB\\" + utf8({0xC9, 0x4E00, 0x20000});
    for (code_key_form form : {code_key_form::unicode, code_key_form::ascii}) {
        const auto pattern = parse("caf" + utf8({0xC9}) + " ?????", alphabet, form);
        ASSERT_EQ(pattern->error, code_pattern_error::none);
        random_bytes source = source_of(from_one_seed);
        for (int i = 0; i < 100; i++) {
            const std::string code = draw(*pattern, true, source);
            EXPECT_FALSE(is_wrong(*pattern, code)) << code;
        }
        EXPECT_TRUE(is_wrong(*pattern, "CAF" + utf8({0xE9}) + " aaa\\b"));
    }
    const auto bytewise = parse("\xFF?????", letters_and_digits, code_key_form::bytewise);
    random_bytes source = source_of(from_one_seed);
    EXPECT_FALSE(is_wrong(*bytewise, draw(*bytewise, true, source)));
    EXPECT_TRUE(is_wrong(*bytewise, "\xFF"
                                    "22223"));
}
