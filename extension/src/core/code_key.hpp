// Code keys: the form of a coupon's code by which uniqueness is judged.
//
// A key is Unicode's toNFKC_Casefold(NFD(code)) (Unicode Standard 3.13, D147; UAX #15) without the
// blanks around it: case, full-width letters, ligatures and invisible characters do not matter.
// Unassigned code points are refused, because Unicode promises a stable result for assigned ones
// only: so a key, once stored, is the same under every later version of the Unicode tables.
//
// Pure C++: no server header, no allocation, no exception, so that it can be tested by itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coupon_guard {

// Longest code that is looked at, and longest key that is kept, in bytes of UTF-8.
inline constexpr std::size_t max_code_bytes = 1024;
inline constexpr std::size_t max_code_key_bytes = 255;

// Room for the longest key in ASCII form, see make_ascii_code_key().
inline constexpr std::size_t max_ascii_code_key_bytes = 640;

enum class code_key_error : std::uint8_t {
    none,
    too_long,     // more than max_code_bytes, or a key of more than max_code_key_bytes
    invalid_utf8, // not well-formed UTF-8
    unassigned,   // a code point that the Unicode tables at hand do not know
};

struct code_key {
    code_key_error error;
    std::uint16_t length;                 // of bytes[], which has no terminator
    char bytes[max_ascii_code_key_bytes]; // meaningful if error is none
};

// The key of a code given in UTF-8. Never fails on ASCII but for its length.
code_key make_code_key(const char *code, std::size_t length) noexcept;

// The same key written in ASCII, for databases whose encoding cannot hold every character: beyond
// ASCII as \XXXX or \+XXXXXX (hexadecimal code point, as in SQL's U&'' literals), a backslash as
// \\.
code_key make_ascii_code_key(const char *code, std::size_t length) noexcept;

// The key of a code in an unknown encoding (SQL_ASCII): ASCII is folded, other bytes are kept.
code_key make_bytewise_code_key(const char *code, std::size_t length) noexcept;

} // namespace coupon_guard
