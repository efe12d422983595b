#include <coupon_guard/user_id.hpp>

#include <stdexcept>

namespace coupon_guard {

namespace {

constexpr char digits[] = "0123456789abcdef";

int hexadecimal_digit(char c) noexcept {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/// A hyphen goes before these bytes: 8-4-4-4-12 digits.
bool hyphen_before(std::size_t byte) noexcept {
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

} // namespace

uuid uuid::parse(std::string_view text) {
    const auto fail = [&] {
        return std::invalid_argument{"not a uuid: \"" + std::string{text} + "\""};
    };
    const bool hyphens = text.size() == 36;
    if (!hyphens && text.size() != 32)
        throw fail();
    bytes value{};
    std::size_t at = 0;
    for (std::size_t byte = 0; byte < value.size(); ++byte) {
        if (hyphens && hyphen_before(byte) && text[at++] != '-')
            throw fail();
        const int high = hexadecimal_digit(text[at++]);
        const int low = hexadecimal_digit(text[at++]);
        if (high < 0 || low < 0)
            throw fail();
        value[byte] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return uuid{value};
}

std::string uuid::to_string() const {
    std::string text;
    text.reserve(36);
    for (std::size_t byte = 0; byte < bytes_.size(); ++byte) {
        if (hyphen_before(byte))
            text += '-';
        text += digits[bytes_[byte] >> 4];
        text += digits[bytes_[byte] & 15];
    }
    return text;
}

} // namespace coupon_guard
