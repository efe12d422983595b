#include "core/code_key.hpp"

#include "core/ascii.hpp"

#include <utf8proc.h>

#include <cstring>

namespace coupon_guard {
namespace {

bool is_ascii_blank(unsigned char c) noexcept {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

// Characters with the property White_Space that NFKC leaves as they are or maps to U+0020.
bool is_blank(utf8proc_int32_t c) noexcept {
    return (c < 0x80 && is_ascii_blank(static_cast<unsigned char>(c))) || c == 0x85 ||
           c == 0x1680 || c == 0x2028 || c == 0x2029;
}

code_key failure(code_key_error error) noexcept {
    code_key key;
    key.error = error;
    key.length = 0;
    return key;
}

// A code whose decomposition does not fit has a key that is too long: what composes into one
// character of n bytes decomposes into at most 3n/2 code points, and each blank around them is one.
constexpr std::size_t max_decomposed_points = 2 * max_code_bytes;

struct code_points {
    code_key_error error;
    std::size_t length;
    utf8proc_int32_t points[max_decomposed_points];
};

// The code points of text, decomposed with options and in canonical order.
void decompose(const char *text, std::size_t length, int options,
               code_points &decomposed) noexcept {
    const utf8proc_ssize_t count = utf8proc_decompose(
        reinterpret_cast<const utf8proc_uint8_t *>(text), static_cast<utf8proc_ssize_t>(length),
        decomposed.points, max_decomposed_points, static_cast<utf8proc_option_t>(options));
    decomposed.length = count > 0 ? static_cast<std::size_t>(count) : 0;
    if (count == UTF8PROC_ERROR_NOTASSIGNED)
        decomposed.error = code_key_error::unassigned;
    else if (count == UTF8PROC_ERROR_INVALIDUTF8)
        decomposed.error = code_key_error::invalid_utf8;
    else if (count < 0 || decomposed.length > max_decomposed_points)
        decomposed.error = code_key_error::too_long;
    else
        decomposed.error = code_key_error::none;
}

std::size_t write_utf8(utf8proc_int32_t point, char *out) noexcept {
    return static_cast<std::size_t>(
        utf8proc_encode_char(point, reinterpret_cast<utf8proc_uint8_t *>(out)));
}

// toNFKC_Casefold(NFD(code)), as identifiers are compared (Unicode Standard 3.13, D147). NFD comes
// first because an iota subscript folds to a letter, and a mark typed after it would otherwise
// end up on that letter.
void fold_code(const char *code, std::size_t length, code_points &folded) noexcept {
    constexpr int stable = UTF8PROC_STABLE | UTF8PROC_REJECTNA;
    constexpr int nfkc_casefold =
        stable | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;

    decompose(code, length, stable | UTF8PROC_DECOMPOSE, folded);
    if (folded.error != code_key_error::none)
        return;
    char nfd[4 * max_decomposed_points];
    std::size_t nfd_length = 0;
    for (std::size_t i = 0; i < folded.length; i++)
        nfd_length += write_utf8(folded.points[i], nfd + nfd_length);

    decompose(nfd, nfd_length, nfkc_casefold, folded);
    if (folded.error != code_key_error::none)
        return;
    const utf8proc_ssize_t composed =
        utf8proc_normalize_utf32(folded.points, static_cast<utf8proc_ssize_t>(folded.length),
                                 static_cast<utf8proc_option_t>(nfkc_casefold));
    folded.length = static_cast<std::size_t>(composed); // no longer than before
}

using point_writer = std::size_t (*)(utf8proc_int32_t point, char *out) noexcept;

std::size_t write_ascii(utf8proc_int32_t point, char *out) noexcept {
    if (point == '\\') {
        std::memcpy(out, "\\\\", 2);
        return 2;
    }
    if (point < 0x80) {
        out[0] = static_cast<char>(point);
        return 1;
    }
    const int digits = point > 0xFFFF ? 6 : 4;
    std::size_t n = 0;
    out[n++] = '\\';
    if (digits == 6)
        out[n++] = '+';
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        out[n++] = "0123456789abcdef"[(point >> shift) & 0xF];
    return n;
}

// The key of a code whose code points are known, without the blanks around it. The limit on the
// key's length counts UTF-8 whatever form is written, so that every database has the same limit.
code_key write_key(const code_points &folded, point_writer write) noexcept {
    std::size_t begin = 0;
    std::size_t end = folded.length;
    while (begin < end && is_blank(folded.points[begin]))
        begin++;
    while (end > begin && is_blank(folded.points[end - 1]))
        end--;

    code_key key;
    key.error = code_key_error::none;
    std::size_t length = 0;
    std::size_t utf8_length = 0;
    for (std::size_t i = begin; i < end; i++) {
        char utf8[4];
        utf8_length += write_utf8(folded.points[i], utf8);
        if (utf8_length > max_code_key_bytes)
            return failure(code_key_error::too_long);
        length += write(folded.points[i], key.bytes + length);
    }
    key.length = static_cast<std::uint16_t>(length);
    return key;
}

code_key make_unicode_key(const char *code, std::size_t length, point_writer write) noexcept {
    if (length > max_code_bytes)
        return failure(code_key_error::too_long);
    code_points folded;
    fold_code(code, length, folded);
    if (folded.error != code_key_error::none)
        return failure(folded.error);
    return write_key(folded, write);
}

} // namespace

code_key make_bytewise_code_key(const char *code, std::size_t length) noexcept {
    if (length > max_code_bytes)
        return failure(code_key_error::too_long);
    while (length > 0 && is_ascii_blank(static_cast<unsigned char>(code[0]))) {
        code++;
        length--;
    }
    while (length > 0 && is_ascii_blank(static_cast<unsigned char>(code[length - 1])))
        length--;
    if (length > max_code_key_bytes)
        return failure(code_key_error::too_long);

    code_key key;
    key.error = code_key_error::none;
    key.length = static_cast<std::uint16_t>(length);
    for (std::size_t i = 0; i < length; i++)
        key.bytes[i] = fold_ascii(code[i]);
    return key;
}

code_key make_code_key(const char *code, std::size_t length) noexcept {
    // Almost every code is ASCII, where NFKC_Casefold is a change of case.
    if (length <= max_code_bytes && has_only_ascii({code, length}))
        return make_bytewise_code_key(code, length);
    return make_unicode_key(code, length, write_utf8);
}

code_key make_ascii_code_key(const char *code, std::size_t length) noexcept {
    if (length <= max_code_bytes && has_only_ascii({code, length}) &&
        std::memchr(code, '\\', length) == nullptr)
        return make_bytewise_code_key(code, length);
    return make_unicode_key(code, length, write_ascii);
}

} // namespace coupon_guard
