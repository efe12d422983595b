// Code keys as std::string, with errors spelt out; and strings from code points.
#pragma once

#include "core/code_key.hpp"

#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>

#include <utf8proc.h>

namespace coupon_guard::testing {

using key_maker = code_key (*)(const char *code, std::size_t length) noexcept;

// The key, or "<too long>" and the like. The code is given in a buffer of just its size on the
// heap, so that the address sanitizer sees a read past its end.
inline std::string key_by(key_maker make, std::string_view code) {
    std::unique_ptr<char[]> exact(new char[code.size()]);
    std::memcpy(exact.get(), code.data(), code.size());
    const code_key key = make(exact.get(), code.size());
    switch (key.error) {
    case code_key_error::too_long:
        return "<too long>";
    case code_key_error::invalid_utf8:
        return "<invalid>";
    case code_key_error::unassigned:
        return "<unassigned>";
    case code_key_error::none:
        break;
    }
    return std::string(key.bytes, key.length);
}

inline std::string key_of(std::string_view code) {
    return key_by(make_code_key, code);
}
inline std::string ascii_key_of(std::string_view code) {
    return key_by(make_ascii_code_key, code);
}
inline std::string bytewise_key_of(std::string_view code) {
    return key_by(make_bytewise_code_key, code);
}

inline std::string utf8(std::initializer_list<char32_t> points) {
    std::string text;
    for (char32_t point : points) {
        utf8proc_uint8_t bytes[4];
        const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(point), bytes);
        text.append(reinterpret_cast<const char *>(bytes), static_cast<std::size_t>(length));
    }
    return text;
}

inline std::string repeat(std::string_view text, std::size_t times) {
    std::string repeated;
    for (std::size_t i = 0; i < times; i++)
        repeated += text;
    return repeated;
}

inline constexpr char32_t last_code_point = 0x10FFFF;

inline bool is_surrogate(char32_t point) {
    return point >= 0xD800 && point <= 0xDFFF;
}
inline bool is_assigned(char32_t point) {
    return utf8proc_category(static_cast<utf8proc_int32_t>(point)) != UTF8PROC_CATEGORY_CN;
}

// Calls test with every code point that Unicode has assigned, surrogates left out.
template <typename Test>
void for_each_assigned(Test test) {
    for (char32_t point = 0; point <= last_code_point; point++)
        if (!is_surrogate(point) && is_assigned(point))
            test(point);
}

} // namespace coupon_guard::testing
