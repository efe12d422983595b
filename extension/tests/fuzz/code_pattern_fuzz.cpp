// Patterns and alphabets of any bytes. Of those that are taken: how many codes there are is counted
// right, a code drawn is one of the pattern and has its check character, a wrong character and two
// that have changed places are found, and different codes have different keys.
#include "core/code_pattern.hpp"

#include "property.hpp"

#include <fuzzer/FuzzedDataProvider.h>

#include <cmath>
#include <vector>

using namespace coupon_guard;
using fuzzing::exact_copy;
using fuzzing::require;

namespace {

std::uint64_t random_state;
bool has_bytes;

bool fill(void *bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
        random_state = random_state * 6364136223846793005u + 1442695040888963407u;
        static_cast<unsigned char *>(bytes)[i] = static_cast<unsigned char>(random_state >> 56);
    }
    return has_bytes;
}

code_key key_by(code_key_form form, std::string_view code) {
    const exact_copy copy(code);
    switch (form) {
    case code_key_form::unicode:
        return make_code_key(copy.view().data(), copy.view().size());
    case code_key_form::ascii:
        return make_ascii_code_key(copy.view().data(), copy.view().size());
    case code_key_form::bytewise:
        break;
    }
    return make_bytewise_code_key(copy.view().data(), copy.view().size());
}

std::string key_of_code(const code_pattern &pattern, std::string_view code) {
    const code_key key = key_by(pattern.form, code);
    require(key.error == code_key_error::none, "a code of the pattern has a key");
    return {key.bytes, key.length};
}

// ---- the characters of a code, as the code alone shows them
// --------------------------------------

std::string code_of(const code_pattern &pattern, const std::vector<int> &characters) {
    std::string code;
    for (int place = 0; place < pattern.places; place++) {
        code += literal(pattern, place);
        code += bytes_of(pattern.alphabet[characters[static_cast<std::size_t>(place)]]);
    }
    return code += literal(pattern, pattern.places);
}

// In an alphabet none is the beginning of another: UTF-8 has no such characters.
std::vector<int> characters_of(const code_pattern &pattern, std::string_view code) {
    std::vector<int> characters;
    for (int place = 0;; place++) {
        const std::string_view piece = literal(pattern, place);
        require(code.substr(0, piece.size()) == piece, "a code has the pattern's literals");
        code.remove_prefix(piece.size());
        if (place == pattern.places)
            break;
        int found = -1;
        for (int i = 0; i < pattern.alphabet_size && found < 0; i++)
            if (code.substr(0, pattern.alphabet[i].length) == bytes_of(pattern.alphabet[i]))
                found = i;
        require(found >= 0, "each place has a character of the alphabet");
        characters.push_back(found);
        code.remove_prefix(pattern.alphabet[found].length);
    }
    require(code.empty(), "a code has nothing beyond the pattern");
    return characters;
}

// The weighted sum as the header defines it: from the last place leftwards the weights are 1, 2, 4.
unsigned sum_of(const code_pattern &pattern, const std::vector<int> &characters) {
    const unsigned is_even = pattern.alphabet_size % 2 == 0;
    const unsigned modulus = pattern.alphabet_size + is_even;
    unsigned sum = 0;
    unsigned weight = 1;
    for (auto at = characters.rbegin(); at != characters.rend(); ++at) {
        sum = (sum + weight * (static_cast<unsigned>(*at) + is_even)) % modulus;
        weight = 2 * weight % modulus;
    }
    return sum;
}

// How many codes there are, by how many have each sum so far.
double counted(const code_pattern &pattern, int places) {
    const unsigned is_even = pattern.alphabet_size % 2 == 0;
    const unsigned modulus = pattern.alphabet_size + is_even;
    std::vector<double> codes_with(modulus, 0.0);
    codes_with[0] = 1;
    for (int place = 0; place < places; place++) {
        std::vector<double> next(modulus, 0.0);
        for (unsigned sum = 0; sum < modulus; sum++)
            for (unsigned i = 0; i < pattern.alphabet_size; i++)
                next[(2 * sum + i + is_even) % modulus] += codes_with[sum];
        codes_with = next;
    }
    return codes_with[0];
}

// ---- properties
// ------------------------------------------------------------------------------------

void check_count(const code_pattern &pattern) {
    for (int more = 0; more <= 2; more++) {
        const int places = pattern.places + more;
        const double all = std::pow(pattern.alphabet_size, places);
        if (all > 9e15)
            return;
        require(count_codes(pattern, false, more) == all, "codes are counted right");
        require(count_codes(pattern, true, more) == counted(pattern, places),
                "codes with a check character are counted right");
    }
}

void check_faults(const code_pattern &pattern, const std::vector<int> &characters,
                  FuzzedDataProvider &choice) {
    const auto at = choice.ConsumeIntegralInRange<std::size_t>(0, characters.size() - 1);
    std::vector<int> wrong = characters;
    wrong[at] = choice.ConsumeIntegralInRange<int>(0, pattern.alphabet_size - 1);
    require(has_wrong_check_character(pattern, key_of_code(pattern, code_of(pattern, wrong))) ==
                (wrong != characters),
            "a wrong character is found");
    wrong = characters;
    if (at + 1 < wrong.size())
        std::swap(wrong[at], wrong[at + 1]);
    require(has_wrong_check_character(pattern, key_of_code(pattern, code_of(pattern, wrong))) ==
                (wrong != characters),
            "two neighbours that have changed places are found");
}

std::string checked_draw(const code_pattern &pattern, bool has_check_character,
                         random_bytes &source) {
    char bytes[max_code_bytes];
    const std::size_t length = draw_code(pattern, has_check_character, source, bytes);
    require(has_bytes ? length > 0 : length == 0, "a code is drawn if there are random bytes");
    return {bytes, length};
}

void check_drawn(const code_pattern &pattern, bool has_check_character,
                 FuzzedDataProvider &choice) {
    random_bytes source;
    source.fill = fill;
    source.left = 0;
    const std::string code = checked_draw(pattern, has_check_character, source);
    if (!has_bytes)
        return;
    const std::vector<int> characters = characters_of(pattern, code);
    const std::string key = key_of_code(pattern, code);
    const unsigned sum = sum_of(pattern, characters);
    require(has_wrong_check_character(pattern, key) == (sum != 0), "the sum is judged right");
    if (has_check_character) {
        require(sum == 0, "a code drawn has its check character");
        check_faults(pattern, characters, choice);
    }
    const std::string other = checked_draw(pattern, has_check_character, source);
    require((key_of_code(pattern, other) == key) == (other == code),
            "different codes have different keys");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    FuzzedDataProvider choice(data, size);
    random_state = choice.ConsumeIntegral<std::uint64_t>();
    has_bytes = choice.ConsumeIntegralInRange<int>(0, 15) != 0;
    const bool has_check_character = choice.ConsumeBool();
    const auto form = static_cast<code_key_form>(choice.ConsumeIntegralInRange<int>(0, 2));
    const exact_copy pattern(choice.ConsumeRandomLengthString());
    const exact_copy alphabet(choice.ConsumeRandomLengthString());
    const std::string key = choice.ConsumeRandomLengthString();

    const auto parsed = std::make_unique<code_pattern>();
    std::memset(parsed.get(), 0xA5, sizeof *parsed);
    parse_code_pattern(form, pattern.view(), alphabet.view(), *parsed);
    if (parsed->error != code_pattern_error::none)
        return 0;
    has_wrong_check_character(*parsed, exact_copy(key).view());
    check_count(*parsed);
    if (!has_check_character || parsed->places >= 2)
        check_drawn(*parsed, has_check_character, choice);
    return 0;
}
