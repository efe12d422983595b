// Patterns and codes as std::string, from bytes that are chosen.
#pragma once

#include "code_key_helpers.hpp"
#include "core/code_pattern.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace coupon_guard::testing {

inline const std::string letters_and_digits = "23456789ABCDEFGHJKMNPQRSTUVWXYZ";

inline std::unique_ptr<code_pattern> parse(std::string_view pattern, std::string_view alphabet,
                                           code_key_form form = code_key_form::unicode) {
    auto parsed = std::make_unique<code_pattern>();
    std::memset(parsed.get(), 0xA5, sizeof *parsed);
    parse_code_pattern(form, pattern, alphabet, *parsed);
    return parsed;
}

inline code_pattern_error error_of(std::string_view pattern, std::string_view alphabet,
                                   code_key_form form = code_key_form::unicode) {
    return parse(pattern, alphabet, form)->error;
}

// So many letters of one script, none of which has another case: an alphabet of any size.
inline std::string ideographs(int size) {
    std::string alphabet;
    for (int i = 0; i < size; i++)
        alphabet += utf8({static_cast<char32_t>(0x4E00 + i)});
    return alphabet;
}

// Every byte in turn, so each just as often.
inline bool count_up(void *bytes, std::size_t count) {
    static unsigned char next = 0;
    for (std::size_t i = 0; i < count; i++)
        static_cast<unsigned char *>(bytes)[i] = next++;
    return true;
}

// The same bytes in every run: splitmix64.
inline bool from_one_seed(void *bytes, std::size_t count) {
    static std::uint64_t state = 0;
    for (std::size_t i = 0; i < count; i++) {
        state += 0x9E3779B97F4A7C15;
        std::uint64_t mixed = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB;
        static_cast<unsigned char *>(bytes)[i] = static_cast<unsigned char>(mixed >> 56);
    }
    return true;
}

inline random_bytes source_of(bool (*fill)(void *, std::size_t)) {
    random_bytes source;
    source.fill = fill;
    source.left = 0;
    return source;
}

inline std::string draw(const code_pattern &pattern, bool has_check_character,
                        random_bytes &source) {
    char code[max_code_bytes];
    return std::string(code, draw_code(pattern, has_check_character, source, code));
}

} // namespace coupon_guard::testing
