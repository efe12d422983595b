// Text datums. In place: what a scan key or a tuple needs, without an allocation.
#pragma once

#include "pg/backend.hpp"

#include <cstddef>

namespace coupon_guard {

template <std::size_t Capacity>
struct text_value {
    // Laid out as a varlena with a four-byte header.
    int32 header;
    char bytes[Capacity];

    // length must be at most Capacity.
    void assign(const char *from, std::size_t length) {
        memcpy(bytes, from, length);
        set_length(length);
    }
    void set_length(std::size_t length) { SET_VARSIZE(&header, VARHDRSZ + length); }
    Datum datum() const { return PointerGetDatum(&header); }
    std::size_t length() const { return VARSIZE(&header) - VARHDRSZ; }
};
static_assert(offsetof(text_value<1>, bytes) == VARHDRSZ);

// The encodings from which the server cannot convert: bytes beyond ASCII have no known meaning.
inline bool is_opaque_encoding(int encoding) {
    return encoding == PG_SQL_ASCII || encoding == PG_MULE_INTERNAL;
}

// A text datum as a string for an error message, at most 64 bytes of it.
const char *clip_for_message(Datum value);

// Whether two values of type text have the same bytes.
bool is_same_text(Datum one, Datum other);

} // namespace coupon_guard
