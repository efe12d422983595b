#include "core/code_pattern.hpp"

#include "core/ascii.hpp"

#include <cstring>

namespace coupon_guard {
namespace {

constexpr char place_mark = '?';
constexpr char escape = '\\';

// ---- keys -------------------------------------------------------------------------------------

code_key make_key(code_key_form form, std::string_view code) noexcept {
    switch (form) {
    case code_key_form::unicode:
        return make_code_key(code.data(), code.size());
    case code_key_form::ascii:
        return make_ascii_code_key(code.data(), code.size());
    case code_key_form::bytewise:
        break;
    }
    return make_bytewise_code_key(code.data(), code.size());
}

std::string_view view(const code_key &key) noexcept {
    return {key.bytes, key.length};
}

std::size_t utf8_length(char first) noexcept {
    const auto byte = static_cast<unsigned char>(first);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// Of the character that a key begins with.
std::size_t first_length(code_key_form form, std::string_view key) noexcept {
    if (form == code_key_form::unicode)
        return utf8_length(key[0]);
    if (form == code_key_form::bytewise || key[0] != escape)
        return 1;
    return key[1] == escape ? 2 : key[1] == '+' ? 8 : 5;
}

// Pieces of a code, as long as code and key allow.
struct code_text {
    std::size_t length = 0;
    bool is_too_long = false;
    char bytes[max_code_bytes];

    void add(std::string_view piece) noexcept {
        is_too_long |= piece.size() > max_code_bytes - length;
        if (is_too_long)
            return;
        if (!piece.empty())
            std::memcpy(bytes + length, piece.data(), piece.size());
        length += piece.size();
    }
    std::string_view view() const noexcept { return {bytes, length}; }
};

// What a letter beside a literal is for: blanks in the middle of a code stay, those around it go.
constexpr std::string_view neighbour = "x";

code_pattern_error error_of(code_key_error error) noexcept {
    switch (error) {
    case code_key_error::none:
        return code_pattern_error::none;
    case code_key_error::too_long:
        return code_pattern_error::too_long;
    case code_key_error::invalid_utf8:
        return code_pattern_error::invalid_utf8;
    case code_key_error::unassigned:
        break;
    }
    return code_pattern_error::unassigned;
}

// ---- the alphabet -----------------------------------------------------------------------------

bool fail(code_pattern &parsed, code_pattern_error error, int character = 0,
          int other = 0) noexcept {
    parsed.error = error;
    parsed.character = static_cast<std::uint16_t>(character);
    parsed.other = static_cast<std::uint16_t>(other);
    return false;
}

bool split_alphabet(std::string_view alphabet, code_pattern &parsed) noexcept {
    parsed.alphabet_size = 0;
    while (!alphabet.empty()) {
        if (parsed.alphabet_size == max_alphabet_size)
            return fail(parsed, code_pattern_error::alphabet_too_large);
        std::size_t length =
            parsed.form == code_key_form::bytewise ? 1 : utf8_length(alphabet.front());
        if (length > alphabet.size())
            return fail(parsed, code_pattern_error::invalid_utf8);
        code_character &character = parsed.alphabet[parsed.alphabet_size++];
        character.length = static_cast<std::uint8_t>(length);
        std::memcpy(character.bytes, alphabet.data(), length);
        alphabet.remove_prefix(length);
    }
    return parsed.alphabet_size >= 2 || fail(parsed, code_pattern_error::alphabet_too_small);
}

bool find_key_of(code_pattern &parsed, int at) noexcept {
    code_character &character = parsed.alphabet[at];
    if (parsed.form == code_key_form::bytewise && !has_only_ascii(bytes_of(character)))
        return fail(parsed, code_pattern_error::character_opaque, at);
    const code_key key = make_key(parsed.form, bytes_of(character));
    if (key.error == code_key_error::unassigned)
        return fail(parsed, code_pattern_error::character_unassigned, at);
    if (key.error != code_key_error::none)
        return fail(parsed, error_of(key.error));
    if (key.length == 0)
        return fail(parsed, code_pattern_error::character_vanishes, at);
    if (first_length(parsed.form, view(key)) != key.length)
        return fail(parsed, code_pattern_error::character_expands, at);
    character.key_length = static_cast<std::uint8_t>(key.length);
    std::memcpy(character.key, key.bytes, key.length);
    if (key.length == 1)
        parsed.of_ascii[static_cast<unsigned char>(key.bytes[0])] = static_cast<std::int16_t>(at);
    return true;
}

bool parse_alphabet(std::string_view alphabet, code_pattern &parsed) noexcept {
    if (!split_alphabet(alphabet, parsed))
        return false;
    for (std::int16_t &at : parsed.of_ascii)
        at = -1;
    for (int i = 0; i < parsed.alphabet_size; i++) {
        if (!find_key_of(parsed, i))
            return false;
        for (int j = 0; j < i; j++)
            if (key_of(parsed.alphabet[i]) == key_of(parsed.alphabet[j]))
                return fail(parsed, code_pattern_error::characters_same, j, i);
    }
    return true;
}

// ---- literals ---------------------------------------------------------------------------------

bool split_pattern(std::string_view pattern, code_pattern &parsed) noexcept {
    std::size_t length = 0;
    parsed.places = 0;
    for (std::size_t i = 0; i < pattern.size(); i++) {
        char c = pattern[i];
        if (c == place_mark) {
            if (parsed.places == max_code_places)
                return fail(parsed, code_pattern_error::too_long);
            parsed.text_ends[parsed.places++] = static_cast<std::uint16_t>(length);
            continue;
        }
        if (c == escape) {
            if (++i == pattern.size() || (pattern[i] != place_mark && pattern[i] != escape))
                return fail(parsed, code_pattern_error::bad_escape);
            c = pattern[i];
        }
        if (length == max_code_bytes)
            return fail(parsed, code_pattern_error::too_long);
        parsed.text[length++] = c;
    }
    parsed.text_ends[parsed.places] = static_cast<std::uint16_t>(length);
    return parsed.places > 0 || fail(parsed, code_pattern_error::no_place);
}

// Writes the literal's key as it is in a code, and where it ends.
bool find_literal_key(code_pattern &parsed, int place) noexcept {
    const bool is_first = place == 0;
    const bool is_last = place == parsed.places;
    code_text beside;
    beside.add(is_first ? std::string_view{} : neighbour);
    beside.add(literal(parsed, place));
    beside.add(is_last ? std::string_view{} : neighbour);
    const code_key key = make_key(parsed.form, beside.view());
    if (beside.is_too_long || key.error != code_key_error::none)
        return fail(parsed,
                    beside.is_too_long ? code_pattern_error::too_long : error_of(key.error));
    std::string_view inner = view(key);
    const std::size_t neighbours = (is_first ? 0 : 1) + (is_last ? 0 : 1);
    if (inner.size() < neighbours || (!is_first && inner.front() != neighbour.front()) ||
        (!is_last && inner.back() != neighbour.front()))
        return fail(parsed, code_pattern_error::character_joins);
    inner.remove_prefix(is_first ? 0 : 1);
    inner.remove_suffix(is_last ? 0 : 1);
    const std::size_t begin = is_first ? 0 : parsed.key_ends[place - 1];
    if (begin + inner.size() > sizeof parsed.key)
        return fail(parsed, code_pattern_error::too_long);
    if (!inner.empty())
        std::memcpy(parsed.key + begin, inner.data(), inner.size());
    parsed.key_ends[place] = static_cast<std::uint16_t>(begin + inner.size());
    return true;
}

// ---- neighbours -------------------------------------------------------------------------------

// A text, and its key in the middle of a code.
struct keyed {
    std::string_view text, key;
};

keyed keyed_character(const code_pattern &pattern, int at) noexcept {
    return {bytes_of(pattern.alphabet[at]), key_of(pattern.alphabet[at])};
}

// Whether the key of both together is another than their keys, one after the other. The letters
// around them are for the sake of blanks.
bool joins(code_key_form form, const keyed &left, const keyed &right) noexcept {
    if (has_only_ascii(left.text) && has_only_ascii(right.text))
        return false;
    code_text text;
    code_text keys;
    for (std::string_view part : {neighbour, left.text, right.text, neighbour})
        text.add(part);
    for (std::string_view part : {neighbour, left.key, right.key, neighbour})
        keys.add(part);
    const code_key key = make_key(form, text.view());
    return key.error != code_key_error::none || view(key) != keys.view();
}

// The literal before this place; its key lacks the blanks at the ends of a code.
keyed keyed_literal(const code_pattern &pattern, int place) noexcept {
    return {literal(pattern, place), literal_key(pattern, place)};
}

bool is_free_of_joins(code_pattern &parsed) noexcept {
    if (parsed.form == code_key_form::bytewise)
        return true;
    for (int i = 0; i < parsed.alphabet_size; i++) {
        const keyed character = keyed_character(parsed, i);
        for (int j = 0; j < parsed.alphabet_size; j++)
            if (joins(parsed.form, character, keyed_character(parsed, j)))
                return fail(parsed, code_pattern_error::character_joins, i);
        for (int place = 1; place < parsed.places; place++)
            if (joins(parsed.form, keyed_literal(parsed, place), character) ||
                joins(parsed.form, character, keyed_literal(parsed, place)))
                return fail(parsed, code_pattern_error::character_joins, i);
    }
    return true;
}

// A code of this character alone: as long as codes get, if it is the longest. Its key shows that
// the literals at both ends join nothing, too.
bool check_code_of(code_pattern &parsed, int at) noexcept {
    code_text code;
    code_text key;
    for (int place = 0; place <= parsed.places; place++) {
        code.add(literal(parsed, place));
        key.add(literal_key(parsed, place));
        if (place < parsed.places) {
            code.add(bytes_of(parsed.alphabet[at]));
            key.add(key_of(parsed.alphabet[at]));
        }
    }
    if (code.is_too_long)
        return fail(parsed, code_pattern_error::too_long);
    const code_key made = make_key(parsed.form, code.view());
    if (made.error != code_key_error::none)
        return fail(parsed, error_of(made.error));
    return view(made) == key.view() || fail(parsed, code_pattern_error::character_joins, at);
}

bool parse_literals(std::string_view pattern, code_pattern &parsed) noexcept {
    if (!split_pattern(pattern, parsed))
        return false;
    for (int place = 0; place <= parsed.places; place++)
        if (!find_literal_key(parsed, place))
            return false;
    if (!is_free_of_joins(parsed))
        return false;
    for (int i = 0; i < parsed.alphabet_size; i++)
        if (!check_code_of(parsed, i))
            return false;
    return true;
}

} // namespace

void parse_code_pattern(code_key_form form, std::string_view pattern, std::string_view alphabet,
                        code_pattern &parsed) noexcept {
    parsed.form = form;
    if (parse_alphabet(alphabet, parsed) && parse_literals(pattern, parsed))
        parsed.error = code_pattern_error::none;
}

} // namespace coupon_guard
