// What is one user: which spellings of an id are taken, and which are another spelling of one.

#include "code_key_helpers.hpp"
#include "core/user_spelling.hpp"

#include <gtest/gtest.h>

#include <vector>

using namespace coupon_guard;
using namespace coupon_guard::testing;

namespace {

using judge = spelling_fault (*)(user_id_type, const char *, std::size_t) noexcept;

// The id is given in a buffer of just its size on the heap, see key_by().
spelling_fault judge_by(judge function, user_id_type type, std::string_view id) {
    std::unique_ptr<char[]> exact(new char[id.size()]);
    std::memcpy(exact.get(), id.data(), id.size());
    return function(type, exact.get(), id.size());
}

spelling_fault fault_of(std::string_view id) {
    return judge_by(judge_spelling, user_id_type::automatic, id);
}

void expect_all(spelling_fault fault, const std::vector<std::string> &ids) {
    for (const std::string &id : ids)
        EXPECT_EQ(static_cast<int>(fault_of(id)), static_cast<int>(fault)) << "id: <" << id << ">";
}

} // namespace

TEST(UserSpelling, AWholeNumberHasOneSpelling) {
    expect_all(spelling_fault::none,
               {"0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808",
                "123456789012345678901234567890", "-100"});
    expect_all(spelling_fault::number, {"01",
                                        "00",
                                        "-0",
                                        "+0",
                                        "+1",
                                        "-01",
                                        "+-1",
                                        "- 1",
                                        "1.",
                                        "1.0",
                                        "1.00",
                                        ".5",
                                        "1.5",
                                        "1,",
                                        "1,000",
                                        "1_000",
                                        "000123",
                                        "1e0",
                                        "1E0",
                                        "1e+0",
                                        "10e-1",
                                        "0.1e1",
                                        "1e18",
                                        "0e99999",
                                        "1e-400",
                                        "0.00000000000000000000000000001e29",
                                        "1000000000000000000000000000e-27",
                                        "0x1",
                                        "0X1",
                                        "0x01",
                                        "0xFFFFFFFFFFFFFFFF",
                                        "0o17",
                                        "0b1",
                                        "0b0",
                                        "0x0"});
}

TEST(UserSpelling, ANumberInQuotesOrBracketsIsThatNumber) {
    expect_all(spelling_fault::number, {"[1]", "{1}", "{\"1\"}", "[[1]]", "[\"1\"]", "\"1\"", "'1'",
                                        "(1)", "<1>", "[ 1 ]", "`1`", "[-1]", "[01]"});
}

TEST(UserSpelling, DigitsOfEveryScriptAreDigits) {
    expect_all(spelling_fault::number,
               {utf8({0xFF11}), "1" + utf8({0xFF12}), utf8({0x661}), utf8({0x967}), utf8({0xB9}),
                utf8({0x2460}), utf8({0x1D7CF}), utf8({0x2212}) + "1", utf8({0xFF0B}) + "1",
                utf8({0xFF0D}) + "1", "1" + utf8({0x66B}) + "0", "1" + utf8({0x200B}) + "2",
                utf8({0x300C}) + "1" + utf8({0x300D}), utf8({0xAB}) + "1" + utf8({0xBB}),
                utf8({0xFF10}) + "x1"});
}

// Roman and Chinese numerals, fractions and words are letters: no reader of numbers takes them.
TEST(UserSpelling, LettersThatMeanNumbersAreLetters) {
    expect_all(spelling_fault::none, {utf8({0x2167}), utf8({0x4E00}), utf8({0xBD}), "one", "true",
                                      "NaN", "Infinity", "1st", "1a", "#1", "1%", "user:1"});
}

TEST(UserSpelling, WhatLooksLikeANumberAndIsNoneIsText) {
    expect_all(spelling_fault::none, {"555-1234",
                                      "2024-00017",
                                      "12.345.678",
                                      "10.0.0.1",
                                      "1/2",
                                      "1:2",
                                      "1 000",
                                      "1 2",
                                      "2024-11-29",
                                      "1-2-3-4",
                                      "507f1f77bcf86cd799439011", // an object id
                                      "507107781239479990000e04", // another
                                      "12345e78",
                                      "1e20",
                                      "0b3f9c",
                                      "0b2",
                                      "0o8",
                                      "0x",
                                      "0xg",
                                      "e5",
                                      "1e",
                                      "1e+",
                                      "-",
                                      "+",
                                      "0x52908400098527886E0F7030069857D2E4169EE7", // an address
                                      "0x1FFFFFFFFFFFFFFFF"});
}

TEST(UserSpelling, AUuidHasOneSpelling) {
    expect_all(spelling_fault::none,
               {"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"});
    expect_all(spelling_fault::uuid,
               {"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1A",
                "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11",
                "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}",
                "urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "URN:UUID:{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
                "(a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11)",
                "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"",
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1" + utf8({0xFF11}),
                utf8({0xFF41}) + "0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "a0eebc99" + utf8({0x2010}) + "9c0b-4ef8-bb6d-6bb9bd380a11", "1-1-1-1-1",
                "123-e89b-12d3-a456-426614174000"});
    expect_all(spelling_fault::none,
               {"12345678901234567890123456789012", // a whole number
                "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111", "g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
                "1-1-1-1-", "-1-1-1-1", "1-1-1-1-1-1", "123456789-1-1-1-1"});
}

TEST(UserSpelling, NothingUnseenIsAroundAnId) {
    expect_all(spelling_fault::blank_around,
               {" 1", "1 ", " ann", "ann ", " ", utf8({0xA0}) + "ann", "ann" + utf8({0x3000}),
                utf8({0x200B}) + "ann", utf8({0xFEFF}) + "1", "1" + utf8({0x200D}),
                "ann" + utf8({0x2028}), utf8({0xAD}) + "ann"});
    expect_all(spelling_fault::none, {"ann b", "ann" + utf8({0xA0}) + "b"});
}

TEST(UserSpelling, NoControlCharacterIsInAnId) {
    expect_all(spelling_fault::control_character,
               {"1\n", "\t1", "a\tb", "a\rb", "\x7f", "\x01", utf8({0x85}) + "a",
                "a" + utf8({0x9F}), std::string("a\0b", 3)});
}

TEST(UserSpelling, OtherTextIsTakenAsItIsWritten) {
    expect_all(spelling_fault::none,
               {"ann", "Ann", "ann@example.com", utf8({0xE9, 'v', 'a'}), "guest-7", "auth0|5f7c",
                "", repeat("u", 255), repeat(utf8({0xFDFA}), 85), repeat("1a", 4000)});
}

TEST(UserSpelling, WhereIdsAreBigintTheyAreWrittenAsPostgresWritesThem) {
    const auto judge_bigint = [](std::string_view id) {
        return judge_by(judge_spelling, user_id_type::bigint, id);
    };
    for (const char *id : {"0", "1", "-1", "9223372036854775807", "-9223372036854775808", "999"})
        EXPECT_EQ(judge_bigint(id), spelling_fault::none) << id;
    for (const char *id : {"9223372036854775808", "-9223372036854775809", "10000000000000000000",
                           "", "-", "01", "-0", " 1", "ann", "1.0", "+1"})
        EXPECT_EQ(judge_bigint(id), spelling_fault::not_bigint) << id;
}

TEST(UserSpelling, WhereIdsAreUuidTheyAreWrittenAsPostgresWritesThem) {
    const auto judge_uuid = [](std::string_view id) {
        return judge_by(judge_spelling, user_id_type::uuid, id);
    };
    EXPECT_EQ(judge_uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), spelling_fault::none);
    EXPECT_EQ(judge_uuid("A0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), spelling_fault::not_uuid);
    EXPECT_EQ(judge_uuid("1"), spelling_fault::not_uuid);
}

TEST(UserSpelling, WhereIdsAreTextNothingIsJudged) {
    for (const char *id : {" 1", "000123", "\t", "1.0", "\xff"})
        EXPECT_EQ(judge_by(judge_spelling, user_id_type::text, id), spelling_fault::none);
}

TEST(UserSpelling, BytesOfAnUnknownEncodingAreLetters) {
    const auto judge_bytes = [](std::string_view id) {
        return judge_by(judge_bytewise_spelling, user_id_type::automatic, id);
    };
    EXPECT_EQ(judge_bytes("\xff\xfe"), spelling_fault::none);
    EXPECT_EQ(judge_bytes("\xa0"
                          "1"),
              spelling_fault::none);
    EXPECT_EQ(judge_bytes("01"), spelling_fault::number);
    EXPECT_EQ(judge_bytes(" ann"), spelling_fault::blank_around);
}

TEST(UserSpelling, BytesThatAreNoCharactersAreTold) {
    expect_all(spelling_fault::invalid_utf8, {"\xff", "ann\xc3", "\xed\xa0\x80"});
}

// No character before, within or after a number makes another spelling of it that is taken as text,
// unless it is a letter, or a sign that no reader of numbers knows: then it is not seen as that
// number.
TEST(UserSpelling, WithoutWhatIsNotSeenANumberIsThatNumber) {
    for_each_assigned([](char32_t point) {
        const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(point));
        const bool is_unseen = category == UTF8PROC_CATEGORY_CF ||
                               category == UTF8PROC_CATEGORY_CC ||
                               category == UTF8PROC_CATEGORY_ZS ||
                               category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP;
        if (!is_unseen)
            return;
        const std::string character = utf8({point});
        EXPECT_NE(fault_of(character + "1"), spelling_fault::none) << std::hex << int(point);
        EXPECT_NE(fault_of("1" + character), spelling_fault::none) << std::hex << int(point);
    });
}
