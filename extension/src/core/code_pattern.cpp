#include "core/code_pattern.hpp"

#include "core/ascii.hpp"

#include <cmath>
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

// string_view::substr() could throw.
bool begins_with(std::string_view text, std::string_view with) noexcept {
    return text.size() >= with.size() &&
           (with.empty() || std::memcmp(text.data(), with.data(), with.size()) == 0);
}

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

std::string_view bytes_of(const code_character &character) noexcept {
    return {character.bytes, character.length};
}

std::string_view key_of(const code_character &character) noexcept {
    return {character.key, character.key_length};
}

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

std::string_view piece(const char *text, const std::uint16_t *ends, int place) noexcept {
    const std::size_t begin = place == 0 ? 0 : ends[place - 1];
    return {text + begin, ends[place] - begin};
}

std::string_view literal(const code_pattern &pattern, int place) noexcept {
    return piece(pattern.text, pattern.text_ends, place);
}

std::string_view literal_key(const code_pattern &pattern, int place) noexcept {
    return piece(pattern.key, pattern.key_ends, place);
}

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

void parse_code_pattern(code_key_form form, std::string_view pattern, std::string_view alphabet,
                        code_pattern &parsed) noexcept {
    parsed.form = form;
    if (parse_alphabet(alphabet, parsed) && parse_literals(pattern, parsed))
        parsed.error = code_pattern_error::none;
}

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
