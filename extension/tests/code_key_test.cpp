// What is one code and what is another.

#include "code_key_helpers.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

using namespace coupon_guard;
using namespace coupon_guard::testing;

TEST(CodeKey, AsciiIsFoldedAndTrimmed) {
    EXPECT_EQ(key_of("SAVE10"), "save10");
    EXPECT_EQ(key_of(" \t\n\v\f\rSaVe10\r\f\v\n\t "), "save10");
    EXPECT_EQ(key_of("SAVE  10"), "save  10");
    EXPECT_EQ(key_of("@[`{"), "@[`{"); // the neighbours of the letters
    EXPECT_EQ(key_of("\\N%_'\""), "\\n%_'\"");
}

TEST(CodeKey, NothingIsTheKeyOfNothing) {
    EXPECT_EQ(key_of(""), "");
    EXPECT_EQ(key_of(" \t\n"), "");
    EXPECT_EQ(key_of(utf8({0x3000, 0xA0, 0x2028, 0x85, 0x1680})), "");
    EXPECT_EQ(key_of(utf8({0x200B, 0xFEFF, 0xAD, 0x200D})), "");
}

TEST(CodeKey, AControlCharacterIsACharacter) {
    EXPECT_EQ(key_of(std::string_view("a\0b", 3)), std::string("a\0b", 3));
    EXPECT_EQ(key_of("\x1F\x7F"), "\x1F\x7F");
}

struct code_class {
    const char *name;
    std::vector<std::string> codes; // each of them has the key of the first
};

// Of two classes every two keys differ.
const std::vector<code_class> classes = {
    {"save10",
     {"save10", "SAVE10", " Save10 ", utf8({0xFF33, 0xFF21, 0xFF36, 0xFF25, 0xFF11, 0xFF10}),
      utf8({0x3000}) + "save10" + utf8({0x202F}), utf8({0x17F}) + "ave10",
      "sa" + utf8({0x200B}) + "ve" + utf8({0x200D}) + "10" + utf8({0xFEFF}),
      "save" + utf8({0xB9, 0x2070}), "save" + utf8({0x2460}) + "0", utf8({0xFEFF}) + " save10",
      "save" + utf8({0xAD}) + "10", utf8({0x202A}) + "save10" + utf8({0x202C})}},
    {"save 10", {"save 10", "save" + utf8({0xA0}) + "10", "SAVE" + utf8({0x3000}) + "10"}},
    {"save  10", {"save  10"}},
    {"save-10", {"save-10", "save" + utf8({0xFF0D}) + "10"}},
    {"save en dash 10", {"save" + utf8({0x2013}) + "10"}},
    {"saveio", {"saveio"}},
    {"strasse", {"strasse", "stra" + utf8({0xDF}) + "e", "STRA" + utf8({0x1E9E}) + "E"}},
    {"five", {"five", utf8({0xFB01}) + "ve"}},
    {"i", {"i", "I", utf8({0x2170}), utf8({0x2160})}},
    {"i with dot", {utf8({0x130}), utf8({'i', 0x307}), utf8({'I', 0x307})}},
    {"dotless i", {utf8({0x131})}},
    {"k", {"k", utf8({0x212A})}},
    {"a ring", {utf8({0xE5}), utf8({0xC5}), utf8({0x212B}), utf8({'a', 0x30A})}},
    {"cafe", {"cafe"}},
    {"cafe accented", {"caf" + utf8({0xE9}), "CAF" + utf8({0xC9}), "cafe" + utf8({0x301})}},
    {"above and below", {utf8({'a', 0x301, 0x323}), utf8({'A', 0x323, 0x301})}},
    {"marks across the invisible", {utf8({'q', 0x301, 0x323}), utf8({'q', 0x323, 0x34F, 0x301})}},
    {"acute, circumflex", {utf8({'a', 0x301, 0x302})}},
    {"circumflex, acute", {utf8({'a', 0x302, 0x301}), utf8({0x1EA5})}},
    {"sigma", {utf8({0x3C3}), utf8({0x3C2}), utf8({0x3A3})}},
    {"alpha, acute, iota subscript",
     {utf8({0x1FB4}), utf8({0x1FB3, 0x301}), utf8({0x3B1, 0x345, 0x301}),
      utf8({0x3B1, 0x301, 0x345}), utf8({0x391, 0x301, 0x399})}},
    {"hangul", {utf8({0xAC01}), utf8({0x1100, 0x1161, 0x11A8}), utf8({0xAC00, 0x11A8})}},
    {"katakana", {utf8({0x30AC}), utf8({0xFF76, 0xFF9E}), utf8({0x30AB, 0x3099})}},
    {"hiragana", {utf8({0x304C})}},
    {"latin a", {"a", utf8({0x1D400}), utf8({0x24B6})}},
    {"cyrillic a", {utf8({0x430}), utf8({0x410})}},
    {"heart", {utf8({0x2764}), utf8({0x2764, 0xFE0F})}},
    {"deseret", {utf8({0x10400}), utf8({0x10428})}},
    {"private use", {utf8({0xE000})}},
    {"private use beyond the first plane", {utf8({0x10FFFD})}},
};

TEST(CodeKey, OneClassHasOneKey) {
    for (const code_class &a : classes)
        for (const std::string &code : a.codes)
            EXPECT_EQ(key_of(code), key_of(a.codes.front())) << a.name << ": " << code;
}

TEST(CodeKey, TwoClassesHaveTwoKeys) {
    std::set<std::string> keys;
    for (const code_class &a : classes)
        EXPECT_TRUE(keys.insert(key_of(a.codes.front())).second) << a.name;
}

TEST(CodeKey, TheAsciiFormMakesTheSameClasses) {
    std::set<std::string> keys;
    for (const code_class &a : classes) {
        EXPECT_TRUE(keys.insert(ascii_key_of(a.codes.front())).second) << a.name;
        for (const std::string &code : a.codes)
            EXPECT_EQ(ascii_key_of(code), ascii_key_of(a.codes.front())) << a.name << ": " << code;
    }
}

TEST(AsciiCodeKey, WritesCodePointsAsSqlDoes) {
    EXPECT_EQ(ascii_key_of("SAVE10"), "save10");
    EXPECT_EQ(ascii_key_of("caf" + utf8({0xC9})), "caf\\00e9");
    EXPECT_EQ(ascii_key_of(utf8({0x1F600})), "\\+01f600");
    EXPECT_EQ(ascii_key_of(utf8({0x10FFFD})), "\\+10fffd");
}

// Else the code \00e9 would be taken for an e with an accent.
TEST(AsciiCodeKey, DoublesABackslash) {
    EXPECT_EQ(ascii_key_of("\\00E9"), "\\\\00e9");
    EXPECT_EQ(ascii_key_of(" \\ "), "\\\\");
    EXPECT_EQ(ascii_key_of(utf8({0xFF3C, 0xE9})), "\\\\\\00e9"); // full width backslash
    EXPECT_NE(ascii_key_of(utf8({0xE9})), ascii_key_of("\\00e9"));
}

TEST(BytewiseCodeKey, FoldsAsciiAndKeepsTheRest) {
    EXPECT_EQ(bytewise_key_of(" SAVE\xE9\xFF\x80 "), "save\xE9\xFF\x80");
    EXPECT_EQ(bytewise_key_of("\xC3\x89"), "\xC3\x89");
    EXPECT_EQ(bytewise_key_of("\xA0x\xA0"), "\xA0x\xA0"); // a blank in some encodings only
    EXPECT_EQ(bytewise_key_of("\\"), "\\");
}
