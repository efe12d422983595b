// Patterns of codes: how many codes a pattern holds, a code drawn at random, and the check
// character.
//
// In a pattern a '?' is a place, which any character of the alphabet may take; all else stands for
// itself, \? and \\ for a question mark and a backslash. Two characters of the alphabet never make
// the same code: each has a key of one character of its own (code_key.hpp), wherever it stands. So
// the key of a code says which characters were drawn, in any spelling.
//
// The check character is the last place's. With N characters, M is N if that is odd, else N + 1;
// the characters count 0 to N - 1, or 1 to N where M is N + 1; and the places, from the last one
// leftwards, weigh 1, 2, 4 ... The weighted sum is 0 modulo M. M is odd, so no weight, and no
// difference of two neighbouring weights (which is the lesser of them), has a divisor in common
// with it: each character in the place of another, and each exchange of two neighbours, changes the
// sum. Where N is even, codes whose check character would count 0 are not made.
// (The systems of ISO 7064 for letters and digits miss some exchanges, Luhn's misses one;
// Verhoeff's and Damm's find the same errors, but want a table for each size of alphabet.)
//
// Pure C++, as code_key.hpp.
#pragma once

#include "core/code_key.hpp"

#include <string_view>

namespace coupon_guard {

inline constexpr int max_alphabet_size = 256;
// Of one code: each has a byte of its key.
inline constexpr int max_code_places = max_code_key_bytes;

// Which of the functions of code_key.hpp makes the keys.
enum class code_key_form : std::uint8_t { unicode, ascii, bytewise };

enum class code_pattern_error : std::uint8_t {
    none,
    invalid_utf8,
    alphabet_too_small, // fewer than two characters
    alphabet_too_large,
    // Of the alphabet, character being the culprit's place in it:
    character_unassigned,
    character_vanishes, // it is a blank, or has no key
    character_expands,  // its key has several characters
    character_joins,    // its key depends on what stands beside it
    character_opaque,   // beyond ASCII, where bytes beyond ASCII have no known meaning
    characters_same,    // two have the same key: character and other
    // Of the pattern:
    bad_escape, // a backslash before something else than ? and backslash
    no_place,
    too_long,
    unassigned,
};

struct code_character {
    std::uint8_t length;
    std::uint8_t key_length;
    char bytes[4];
    char key[8]; // the longest: \+XXXXXX
};

// The characters that take places, and the literals between them.
struct code_pattern {
    code_pattern_error error; // all else is meaningful if this is none
    code_key_form form;
    std::uint16_t character, other; // of the alphabet, if the error is of these
    std::uint16_t alphabet_size;
    std::uint16_t places;
    code_character alphabet[max_alphabet_size];
    std::int16_t of_ascii[128]; // by key, if that is one byte: place in the alphabet, or -1
    // The literals, one after the other, and where those before each place end, and the last one.
    char text[max_code_bytes];
    std::uint16_t text_ends[max_code_places + 1];
    char key[max_ascii_code_key_bytes];
    std::uint16_t key_ends[max_code_places + 1];
};

// The literal before a place, or after the last one, and its key as it is in a code.
inline std::string_view piece_of(const char *text, const std::uint16_t *ends, int place) noexcept {
    const std::size_t begin = place == 0 ? 0 : ends[place - 1];
    return {text + begin, ends[place] - begin};
}

inline std::string_view literal(const code_pattern &pattern, int place) noexcept {
    return piece_of(pattern.text, pattern.text_ends, place);
}

inline std::string_view literal_key(const code_pattern &pattern, int place) noexcept {
    return piece_of(pattern.key, pattern.key_ends, place);
}

inline std::string_view bytes_of(const code_character &character) noexcept {
    return {character.bytes, character.length};
}

inline std::string_view key_of(const code_character &character) noexcept {
    return {character.key, character.key_length};
}

// Both are given in UTF-8, or for bytewise keys in any encoding that contains ASCII.
void parse_code_pattern(code_key_form form, std::string_view pattern, std::string_view alphabet,
                        code_pattern &parsed) noexcept;

// How many codes the pattern would hold with so many more places; infinite if they are too many to
// be counted. Exact below 2^53.
double count_codes(const code_pattern &pattern, bool has_check_character, int more_places) noexcept;

// Bytes of which each is as likely as any other. fill returns false if it has none.
struct random_bytes {
    bool (*fill)(void *bytes, std::size_t count);
    std::size_t left; // at the end of bytes, not used yet; at first 0
    unsigned char bytes[1024];
};

// Draws a code, each of the pattern being as likely as any other. Returns its length; 0 if there
// are no random bytes. With a check character the pattern needs two places.
std::size_t draw_code(const code_pattern &pattern, bool has_check_character, random_bytes &source,
                      char (&code)[max_code_bytes]) noexcept;

// Whether a code with this key is one of the pattern, but for its check character.
bool has_wrong_check_character(const code_pattern &pattern, std::string_view key) noexcept;

} // namespace coupon_guard
