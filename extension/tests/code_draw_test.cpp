// Every code of a pattern is as likely as any other.

#include "code_pattern_helpers.hpp"

#include <map>
#include <set>

using namespace coupon_guard;
using namespace coupon_guard::testing;

namespace {

// What the squares of the deviations come to, each divided by what was expected.
double chi_square(const std::map<std::string, int> &counts, double expected) {
    double sum = 0;
    for (const auto &[code, count] : counts)
        sum += (count - expected) * (count - expected) / expected;
    return sum;
}

} // namespace

TEST(CodeDraw, NoCharacterIsFavoured) {
    // Of every 256 bytes each character gets the same number, exactly; the rest is thrown away.
    for (int size : {2, 3, 10, 31, 32, 36, 100, 129, 200, 255, 256}) {
        const auto pattern = parse("?", ideographs(size));
        random_bytes source = source_of(count_up);
        std::map<std::string, int> counts;
        for (int i = 0; i < 256 / size * size * 4; i++)
            counts[draw(*pattern, false, source)]++;
        EXPECT_EQ(counts.size(), static_cast<std::size_t>(size));
        for (const auto &[code, count] : counts)
            EXPECT_EQ(count, 256 / size * 4) << code << " of " << size;
    }
}

TEST(CodeDraw, NoCodeIsFavoured) {
    // The quantile of chi square with 960 degrees of freedom at 0.999 is 1,099.
    const auto pattern = parse("??", letters_and_digits);
    random_bytes source = source_of(from_one_seed);
    std::map<std::string, int> counts;
    for (int i = 0; i < 961 * 100; i++)
        counts[draw(*pattern, false, source)]++;
    EXPECT_EQ(counts.size(), 961u);
    EXPECT_LT(chi_square(counts, 100), 1099);
}

TEST(CodeDraw, NoCodeWithACheckCharacterIsFavoured) {
    // 90 codes of three digits, two of which are drawn: at 0.999 the quantile is 135.
    const auto pattern = parse("???", "0123456789");
    random_bytes source = source_of(from_one_seed);
    std::map<std::string, int> counts;
    for (int i = 0; i < 90 * 1000; i++)
        counts[draw(*pattern, true, source)]++;
    EXPECT_EQ(counts.size(), 90u);
    EXPECT_LT(chi_square(counts, 1000), 135);
}

TEST(CodeDraw, UsesEachRandomByteOnce) {
    const auto pattern = parse("?", ideographs(256));
    random_bytes source = source_of(count_up);
    std::set<std::string> codes;
    for (int i = 0; i < 256; i++)
        codes.insert(draw(*pattern, false, source));
    EXPECT_EQ(codes.size(), 256u);
}

TEST(CodeDraw, WithoutRandomBytesThereIsNoCode) {
    random_bytes source = source_of([](void *, std::size_t) { return false; });
    EXPECT_EQ(draw(*parse("A?", "AB"), false, source), "");
    EXPECT_EQ(draw(*parse("A??", "AB"), true, source), "");
}

TEST(CodeDraw, TheLongestCodeHasRoom) {
    // An ideograph of four bytes, and a wide letter of three whose key is one byte.
    random_bytes source = source_of(count_up);
    EXPECT_EQ(draw(*parse(repeat("?", 63), utf8({0x20000, 0x20001})), false, source).size(), 252u);
    const auto wide = parse(repeat("?", 255), utf8({0xFF21, 0xFF22}));
    EXPECT_EQ(draw(*wide, false, source).size(), 765u);
}
