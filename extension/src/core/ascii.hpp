// What code keys and user ids ask of ASCII.
#pragma once

#include <string_view>

namespace coupon_guard {

constexpr char fold_ascii(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

inline bool has_only_ascii(std::string_view text) noexcept {
    unsigned char seen = 0;
    for (char c : text)
        seen |= static_cast<unsigned char>(c);
    return seen < 0x80;
}

} // namespace coupon_guard
