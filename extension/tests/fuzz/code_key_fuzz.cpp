// Code keys of any bytes: the limits hold, a key is its own key, every spelling that Unicode takes
// for the same has the same one, and it is what the definition says.
#include "core/code_key.hpp"

#include "property.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <optional>

using namespace coupon_guard;
using fuzzing::exact_copy;
using fuzzing::require;

namespace {

using key_maker = code_key (*)(const char *code, std::size_t length) noexcept;

struct made_key {
    code_key_error error;
    std::string bytes;

    bool is_made() const { return error == code_key_error::none; }
    bool operator==(const made_key &other) const {
        return error == other.error && bytes == other.bytes;
    }
};

made_key key_by(key_maker make, std::string_view code) {
    const exact_copy copy(code);
    const code_key key = make(copy.view().data(), copy.view().size());
    if (key.error != code_key_error::none)
        return {key.error, {}};
    require(key.length <= max_ascii_code_key_bytes, "a key fits into its bytes");
    return {key.error, {key.bytes, key.length}};
}

bool is_ascii(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

constexpr int canonical = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
constexpr int composed = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
constexpr int nfkc_casefold =
    UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;

// Nothing if the text is no UTF-8.
std::optional<std::string> mapped(std::string_view text, int options) {
    utf8proc_uint8_t *result = nullptr;
    const auto length = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                     static_cast<utf8proc_ssize_t>(text.size()), &result,
                                     static_cast<utf8proc_option_t>(options));
    if (length < 0)
        return std::nullopt;
    std::string copy(reinterpret_cast<char *>(result), static_cast<std::size_t>(length));
    std::free(result);
    return copy;
}

std::string without_blanks(std::string text) {
    static const std::string_view blanks[] = {
        " ",  "\t",       "\n",           "\v",           "\f",
        "\r", "\xC2\x85", "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE2\x80\xA9"};
    for (bool is_changed = true; is_changed;) {
        is_changed = false;
        for (std::string_view blank : blanks) {
            if (text.compare(0, blank.size(), blank) == 0 && !text.empty())
                text.erase(0, blank.size()), is_changed = true;
            if (text.size() >= blank.size() &&
                text.compare(text.size() - blank.size(), blank.size(), blank) == 0)
                text.erase(text.size() - blank.size()), is_changed = true;
        }
    }
    return text;
}

// A key in ASCII form, read back.
std::string unescaped(std::string_view key) {
    std::string text;
    for (std::size_t i = 0; i < key.size(); i++) {
        if (key[i] != '\\') {
            text += key[i];
        } else if (key[i + 1] == '\\') {
            text += key[++i];
        } else {
            const bool is_long = key[i + 1] == '+';
            const std::string digits(key.substr(i + (is_long ? 2 : 1), is_long ? 6 : 4));
            utf8proc_uint8_t bytes[4];
            const auto point = static_cast<utf8proc_int32_t>(std::stol(digits, nullptr, 16));
            const auto length = utf8proc_encode_char(point, bytes);
            text.append(reinterpret_cast<char *>(bytes), static_cast<std::size_t>(length));
            i += digits.size() + (is_long ? 1 : 0);
        }
    }
    return text;
}

// The same code in another spelling; longer than a code may be it is none.
void check_spelling(const made_key &key, std::string_view spelling, const char *property) {
    if (spelling.size() <= max_code_bytes)
        require(key_by(make_code_key, spelling) == key, property);
}

void check_spellings(std::string_view code, const made_key &key) {
    check_spelling(key, " " + std::string(code) + "\t", "blanks around a code do not matter");
    std::string other_case(code);
    for (char &c : other_case)
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    check_spelling(key, other_case, "the case of ASCII does not matter");
    const std::string decomposed = mapped(code, canonical).value();
    check_spelling(key, decomposed, "canonical decomposition does not matter");
    check_spelling(key, mapped(code, composed).value(), "canonical composition does not matter");
    check_spelling(key, mapped(decomposed, UTF8PROC_STABLE | UTF8PROC_CASEFOLD).value(),
                   "case does not matter");
}

void check_unicode(std::string_view code) {
    const made_key key = key_by(make_code_key, code);
    const made_key ascii = key_by(make_ascii_code_key, code);
    require(key.error == ascii.error, "both forms take the same codes");
    require(code.size() <= max_code_bytes || key.error == code_key_error::too_long,
            "a code that is too long has no key");
    require(key.error != code_key_error::invalid_utf8 || !mapped(code, canonical),
            "what is refused as no UTF-8 is none");
    if (!key.is_made())
        return;
    require(key.bytes.size() <= max_code_key_bytes, "a key is as long as it may be, at most");
    require(key.bytes ==
                without_blanks(mapped(mapped(code, canonical).value(), nfkc_casefold).value()),
            "a key is toNFKC_Casefold(NFD(code)) without the blanks around it");
    require(key_by(make_code_key, key.bytes) == key, "a key is its own key");
    require(is_ascii(ascii.bytes), "the ASCII form is ASCII");
    require(unescaped(ascii.bytes) == key.bytes, "the ASCII form says the same");
    check_spellings(code, key);
}

void check_bytewise(std::string_view code) {
    const made_key key = key_by(make_bytewise_code_key, code);
    require(key.error == code_key_error::none || key.error == code_key_error::too_long,
            "bytes can be too many, and nothing else");
    if (!key.is_made())
        return;
    require(key.bytes.size() <= max_code_key_bytes, "a key is as long as it may be, at most");
    require(key_by(make_bytewise_code_key, key.bytes) == key, "a bytewise key is its own key");
    if (is_ascii(code))
        require(key_by(make_code_key, code) == key, "of ASCII the bytewise key is the key");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t *data, std::size_t size) {
    const std::string_view code(reinterpret_cast<const char *>(data), size);
    check_unicode(code);
    check_bytewise(code);
    return 0;
}
