#include "core/code_pattern.hpp"

#include <cmath>
#include <cstring>

namespace coupon_guard {
namespace {

// string_view::substr() could throw.
bool begins_with(std::string_view text, std::string_view with) noexcept {
    return text.size() >= with.size() &&
           (with.empty() || std::memcmp(text.data(), with.data(), with.size()) == 0);
}

// ---- the check character ----------------------------------------------------------------------

bool is_even(const code_pattern &pattern) noexcept {
    return pattern.alphabet_size % 2 == 0;
}

// What the weighted sum is 0 modulo.
unsigned modulus(const code_pattern &pattern) noexcept {
    return pattern.alphabet_size + (is_even(pattern) ? 1u : 0u);
}

unsigned value_of(const code_pattern &pattern, int character) noexcept {
    return static_cast<unsigned>(character) + (is_even(pattern) ? 1u : 0u);
}

unsigned add_place(const code_pattern &pattern, unsigned sum, int character) noexcept {
    return (2 * sum + value_of(pattern, character)) % modulus(pattern);
}

// The character that makes the sum 0; -1 if there is none.
int check_character(const code_pattern &pattern, unsigned sum) noexcept {
    const unsigned value = (2 * modulus(pattern) - 2 * sum) % modulus(pattern);
    return static_cast<int>(value) - (is_even(pattern) ? 1 : 0);
}

int character_at(const code_pattern &pattern, std::string_view key) noexcept {
    const auto first = static_cast<unsigned char>(key.front());
    if (first < 0x80 && pattern.of_ascii[first] >= 0)
        return pattern.of_ascii[first];
    for (int i = 0; i < pattern.alphabet_size; i++)
        if (begins_with(key, key_of(pattern.alphabet[i])))
            return i;
    return -1;
}

// ---- drawing ----------------------------------------------------------------------------------

// A byte that would favour the first characters is thrown away. -1: there are no random bytes.
int draw_character(int alphabet_size, random_bytes &source) noexcept {
    const int fair = 256 - 256 % alphabet_size;
    for (;;) {
        if (source.left == 0) {
            if (!source.fill(source.bytes, sizeof source.bytes))
                return -1;
            source.left = sizeof source.bytes;
        }
        const int byte = source.bytes[sizeof source.bytes - source.left--];
        if (byte < fair)
            return byte % alphabet_size;
    }
}

enum class draw : std::uint8_t { drawn, again, no_bytes };

// again: there is no check character for these.
draw draw_characters(const code_pattern &pattern, bool has_check_character, random_bytes &source,
                     std::int16_t *characters) noexcept {
    const int drawn = pattern.places - (has_check_character ? 1 : 0);
    unsigned sum = 0;
    for (int i = 0; i < drawn; i++) {
        const int character = draw_character(pattern.alphabet_size, source);
        if (character < 0)
            return draw::no_bytes;
        characters[i] = static_cast<std::int16_t>(character);
        sum = add_place(pattern, sum, character);
    }
    if (!has_check_character)
        return draw::drawn;
    const int check = check_character(pattern, sum);
    characters[drawn] = static_cast<std::int16_t>(check);
    return check < 0 ? draw::again : draw::drawn;
}

std::size_t add(char *code, std::size_t length, std::string_view piece) noexcept {
    if (!piece.empty())
        std::memcpy(code + length, piece.data(), piece.size());
    return length + piece.size();
}

} // namespace

double count_codes(const code_pattern &pattern, bool has_check_character,
                   int more_places) noexcept {
    const int drawn = pattern.places + more_places - (has_check_character ? 1 : 0);
    double all = 1;
    double checked = 0; // those that have a check character, where not all have one
    for (int i = 0; i < drawn; i++) {
        all *= pattern.alphabet_size;
        // One character more makes the sum 0, unless it was 0.
        checked = all - checked;
    }
    return has_check_character && is_even(pattern) && std::isfinite(all) ? checked : all;
}

std::size_t draw_code(const code_pattern &pattern, bool has_check_character, random_bytes &source,
                      char (&code)[max_code_bytes]) noexcept {
    std::int16_t characters[max_code_places];
    draw end;
    do
        end = draw_characters(pattern, has_check_character, source, characters);
    while (end == draw::again);
    if (end == draw::no_bytes)
        return 0;
    std::size_t length = add(code, 0, literal(pattern, 0));
    for (int i = 0; i < pattern.places; i++) {
        length = add(code, length, bytes_of(pattern.alphabet[characters[i]]));
        length = add(code, length, literal(pattern, i + 1));
    }
    return length;
}

bool has_wrong_check_character(const code_pattern &pattern, std::string_view key) noexcept {
    unsigned sum = 0;
    for (int place = 0;; place++) {
        const std::string_view before = literal_key(pattern, place);
        if (!begins_with(key, before))
            return false;
        key.remove_prefix(before.size());
        if (place == pattern.places)
            return key.empty() && sum != 0;
        const int character = key.empty() ? -1 : character_at(pattern, key);
        if (character < 0)
            return false;
        key.remove_prefix(pattern.alphabet[character].key_length);
        sum = add_place(pattern, sum, character);
    }
}

} // namespace coupon_guard
