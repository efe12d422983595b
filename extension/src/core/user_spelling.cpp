#include "core/user_spelling.hpp"

#include "core/ascii.hpp"

#include <utf8proc.h>

#include <string_view>

namespace coupon_guard {
namespace {

// Ids are at most 255 bytes long. NFKC makes at most 18 code points of one (U+FDFA, three bytes);
// an id of which it makes more than this is no number and no uuid.
constexpr std::size_t max_folded = 512;

// ---- characters -------------------------------------------------------------------------------

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

constexpr bool is_hex_digit(char c) noexcept {
    return is_digit(c) || (c >= 'a' && c <= 'f');
}

constexpr bool is_ascii_control(unsigned char c) noexcept {
    return c < 0x20 || c == 0x7f;
}

// What readers of numbers and uuids pass over at both ends.
constexpr bool is_wrapping(char c) noexcept {
    return std::string_view{" \"'`()[]{}<>"}.find(c) != std::string_view::npos;
}

constexpr char no_part_of_a_number = 'z';

// The character of ASCII that a reader may take a code point of NFKC for; 0 for one that is not
// seen. Of a digit in another script only that it is a digit is told: it is in no canonical
// spelling.
char likeness(utf8proc_int32_t point) noexcept {
    if (point < 0x80)
        return fold_ascii(static_cast<char>(point));
    switch (point) {
    case 0x2212: // minus sign
        return '-';
    case 0x066B: // Arabic decimal separator
        return '.';
    case 0x066C: // Arabic thousands separator
        return ',';
    default:
        break;
    }
    switch (utf8proc_category(point)) {
    case UTF8PROC_CATEGORY_ND:
        return '1';
    case UTF8PROC_CATEGORY_CF:
        return '\0';
    case UTF8PROC_CATEGORY_PD:
        return '-';
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return ' ';
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
        return '"';
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
        return '(';
    default:
        return no_part_of_a_number;
    }
}

bool is_blank_or_unseen(utf8proc_int32_t point) noexcept {
    const char seen = likeness(point);
    return seen == ' ' || seen == '\0';
}

// ---- canonical spellings: as PostgreSQL writes them --------------------------------------------

// Most ids are such, so this comes first, and is short.
bool is_canonical_number(std::string_view id) noexcept {
    const char *at = id.data();
    const char *end = at + id.size();
    if (at < end && *at == '-')
        at++;
    if (at == end || *at == '0')
        return id.size() == 1 && *id.data() == '0';
    while (at < end && is_digit(*at))
        at++;
    return at == end;
}

bool is_canonical_bigint(std::string_view id) noexcept {
    if (!is_canonical_number(id))
        return false;
    const bool is_negative = id.front() == '-';
    std::string_view digits = id;
    digits.remove_prefix(is_negative ? 1 : 0); // substr() would throw, as far as the compiler sees
    const std::string_view limit = is_negative ? "9223372036854775808" : "9223372036854775807";
    return digits.size() < limit.size() || (digits.size() == limit.size() && digits <= limit);
}

bool is_canonical_uuid(std::string_view id) noexcept {
    if (id.size() != 36)
        return false;
    for (std::size_t i = 0; i < id.size(); i++) {
        const bool is_hyphen_place = i == 8 || i == 13 || i == 18 || i == 23;
        if (is_hyphen_place ? id[i] != '-' : !is_hex_digit(id[i]))
            return false;
    }
    return true;
}

// ---- what others read as a number or a uuid ----------------------------------------------------

// Numbers that have more digits than this, leading zeros left out, are in no 64 bits.
constexpr std::size_t most_decimal_digits = 19;

std::size_t significant_digits(std::string_view digits) noexcept {
    std::size_t count = 0;
    for (char c : digits)
        if (c != '_' && c != ',' && (count > 0 || c != '0'))
            count++;
    return count;
}

constexpr std::string_view hexadecimal = "0123456789abcdef";
constexpr std::string_view decimal = "0123456789";

// Takes digits, and what may group them, from the front.
std::string_view take_digits(std::string_view &rest, std::string_view digits) noexcept {
    std::size_t length = 0;
    while (length < rest.size() && (digits.find(rest[length]) != std::string_view::npos ||
                                    (length > 0 && (rest[length] == '_' || rest[length] == ','))))
        length++;
    const std::string_view taken{rest.data(), length};
    rest.remove_prefix(length);
    return taken;
}

// 0x1f, 0o17, 0b11, where it fits into 64 bits.
bool reads_as_prefixed_number(std::string_view text) noexcept {
    if (text.size() < 3 || text[0] != '0')
        return false;
    const std::size_t bits = text[1] == 'x' ? 4 : text[1] == 'o' ? 3 : text[1] == 'b' ? 1 : 0;
    if (bits == 0)
        return false;
    text.remove_prefix(2);
    const std::size_t count =
        significant_digits(take_digits(text, {hexadecimal.data(), std::size_t{1} << bits}));
    return text.empty() && (count == 0 || (count - 1) * bits < 64);
}

// e5, e-05: whether a whole number of so many digits, with this after it, fits into 64 bits.
bool reads_as_exponent(std::string_view text, std::size_t digits_before) noexcept {
    text.remove_prefix(1);
    const bool is_negative = !text.empty() && text.front() == '-';
    if (!text.empty() && (text.front() == '-' || text.front() == '+'))
        text.remove_prefix(1);
    const std::string_view digits = take_digits(text, decimal);
    if (!text.empty() || digits.empty())
        return false;
    std::size_t exponent = 0;
    for (char c : digits)
        if (is_digit(c) && exponent <= max_folded)
            exponent = 10 * exponent + static_cast<std::size_t>(c - '0');
    return digits_before == 0 || is_negative || digits_before + exponent <= most_decimal_digits;
}

bool reads_as_number(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == '-' || text.front() == '+' || text.front() == ' '))
        text.remove_prefix(1);
    if (reads_as_prefixed_number(text))
        return true;
    const std::string_view whole = take_digits(text, decimal);
    std::string_view fraction;
    if (!text.empty() && text.front() == '.') {
        text.remove_prefix(1);
        fraction = take_digits(text, decimal);
    }
    if (whole.empty() && fraction.empty())
        return false;
    // Hashes have an e among their digits, too, but no point.
    const std::size_t digits_before = fraction.empty() ? significant_digits(whole) : 0;
    return text.empty() || (text.front() == 'e' && reads_as_exponent(text, digits_before));
}

bool starts_with(std::string_view text, std::string_view start) noexcept {
    return text.size() >= start.size() && std::string_view{text.data(), start.size()} == start;
}

// 550e8400e29b41d4a716446655440000, hyphens or none; and 1-2-3-4-5, as Java's UUID.fromString() has
// it.
bool reads_as_uuid(std::string_view text) noexcept {
    constexpr std::size_t longest_group[] = {8, 4, 4, 4, 12};
    if (starts_with(text, "urn:uuid:"))
        text.remove_prefix(9);
    while (!text.empty() && is_wrapping(text.front()))
        text.remove_prefix(1);
    std::size_t digits = 0;
    std::size_t group = 0;
    std::size_t in_group = 0;
    bool has_groups = true;
    for (char c : text) {
        if (c == '-') {
            has_groups = has_groups && in_group > 0 && group < 4;
            group++;
            in_group = 0;
        } else if (is_hex_digit(c)) {
            digits++;
            in_group++;
            has_groups = has_groups && group <= 4 && in_group <= longest_group[group];
        } else {
            return false;
        }
    }
    return digits == 32 || (has_groups && group == 4 && in_group > 0);
}

std::string_view unwrap(std::string_view text) noexcept {
    while (!text.empty() && is_wrapping(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && is_wrapping(text.back()))
        text.remove_suffix(1);
    return text;
}

// The id is what was written, likeness what a reader may take it for.
spelling_fault judge_reading(std::string_view id, std::string_view likeness) noexcept {
    likeness = unwrap(likeness);
    if (reads_as_uuid(likeness))
        return is_canonical_uuid(id) ? spelling_fault::none : spelling_fault::uuid;
    if (reads_as_number(likeness))
        return is_canonical_number(id) ? spelling_fault::none : spelling_fault::number;
    return spelling_fault::none;
}

// ---- automatic ---------------------------------------------------------------------------------

spelling_fault judge_ascii(std::string_view id) noexcept {
    for (char c : id)
        if (is_ascii_control(static_cast<unsigned char>(c)))
            return spelling_fault::control_character;
    if (!id.empty() && (id.front() == ' ' || id.back() == ' '))
        return spelling_fault::blank_around;
    if (is_canonical_uuid(id) || id.size() > max_folded)
        return spelling_fault::none;
    char likeness[max_folded];
    for (std::size_t i = 0; i < id.size(); i++)
        likeness[i] = fold_ascii(id[i]);
    return judge_reading(id, {likeness, id.size()});
}

spelling_fault judge_ends(std::string_view id) noexcept {
    auto bytes = reinterpret_cast<const utf8proc_uint8_t *>(id.data());
    auto left = static_cast<utf8proc_ssize_t>(id.size());
    bool is_first = true;
    utf8proc_int32_t point = 0;
    while (left > 0) {
        const utf8proc_ssize_t length = utf8proc_iterate(bytes, left, &point);
        if (length < 0)
            return spelling_fault::invalid_utf8;
        if (utf8proc_category(point) == UTF8PROC_CATEGORY_CC)
            return spelling_fault::control_character;
        if (is_first && is_blank_or_unseen(point))
            return spelling_fault::blank_around;
        is_first = false;
        bytes += length;
        left -= length;
    }
    return is_blank_or_unseen(point) ? spelling_fault::blank_around : spelling_fault::none;
}

spelling_fault judge_unicode(std::string_view id) noexcept {
    const spelling_fault ends = judge_ends(id);
    if (ends != spelling_fault::none)
        return ends;
    constexpr int nfkc = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    utf8proc_int32_t points[max_folded];
    const utf8proc_ssize_t count = utf8proc_decompose(
        reinterpret_cast<const utf8proc_uint8_t *>(id.data()),
        static_cast<utf8proc_ssize_t>(id.size()), points, static_cast<utf8proc_ssize_t>(max_folded),
        static_cast<utf8proc_option_t>(nfkc));
    if (count < 0 || static_cast<std::size_t>(count) > max_folded)
        return spelling_fault::none; // no number
    char text[max_folded];
    std::size_t length = 0;
    for (utf8proc_ssize_t i = 0; i < count; i++) {
        const char seen = likeness(points[i]);
        if (seen != '\0')
            text[length++] = seen;
    }
    return judge_reading(id, {text, length});
}

// Whether the type decides alone, and then how.
bool is_decided(user_id_type type, std::string_view id, spelling_fault &fault) noexcept {
    switch (type) {
    case user_id_type::bigint:
        fault = is_canonical_bigint(id) ? spelling_fault::none : spelling_fault::not_bigint;
        return true;
    case user_id_type::uuid:
        fault = is_canonical_uuid(id) ? spelling_fault::none : spelling_fault::not_uuid;
        return true;
    case user_id_type::text:
        fault = spelling_fault::none;
        return true;
    case user_id_type::automatic:
        fault = spelling_fault::none;
        return is_canonical_number(id);
    }
    return false;
}

} // namespace

const char *describe(spelling_fault fault) noexcept {
    switch (fault) {
    case spelling_fault::blank_around:
        return "has a blank, or a character that is not seen, at an end";
    case spelling_fault::control_character:
        return "has a control character";
    case spelling_fault::number:
        return "reads as a number, but is not written as PostgreSQL writes a whole number";
    case spelling_fault::uuid:
        return "reads as a uuid, but is not written as PostgreSQL writes it";
    case spelling_fault::not_bigint:
        return "is not a bigint as PostgreSQL writes it";
    case spelling_fault::not_uuid:
        return "is not a uuid as PostgreSQL writes it";
    case spelling_fault::invalid_utf8:
        return "is not valid in its encoding";
    case spelling_fault::none:
        break;
    }
    return "";
}

spelling_fault judge_spelling(user_id_type type, const char *id, std::size_t length) noexcept {
    spelling_fault fault;
    if (is_decided(type, {id, length}, fault))
        return fault;
    return has_only_ascii({id, length}) ? judge_ascii({id, length}) : judge_unicode({id, length});
}

spelling_fault judge_bytewise_spelling(user_id_type type, const char *id,
                                       std::size_t length) noexcept {
    spelling_fault fault;
    return is_decided(type, {id, length}, fault) ? fault : judge_ascii({id, length});
}

} // namespace coupon_guard
