// Whether a user id that came as text is spelled as the ledger has it: one user, one spelling.
//
// The ledger compares user ids byte by byte, applications do not: what they take for the number 1
// may have come as "01", " 1", "1.0" or "１", and every spelling would be a user of its own, with
// redemptions of its own. So an id that some reader takes for a number or a uuid must be written as
// PostgreSQL writes it.
//
// Pure C++: no server header, no allocation, no exception, so that it can be tested by itself.
#pragma once

#include <cstddef>
#include <cstdint>

namespace coupon_guard {

// What a shop's user ids are: coupon_guard.user_id_type.
enum class user_id_type : int {
    automatic, // bigint, uuid, or text that is no other spelling of one
    bigint,
    uuid,
    text, // as it is written, whatever it looks like
};

enum class spelling_fault : std::uint8_t {
    none,
    blank_around,      // white space, or a character that is not seen, at an end
    control_character, // anywhere
    number,            // reads as a number, and is no whole number as PostgreSQL writes it
    uuid,              // reads as a uuid, and is not as PostgreSQL writes it
    not_bigint, // where ids are of this type: no number of it, or not as PostgreSQL writes it
    not_uuid,
    invalid_utf8,
};

// What is wrong with a spelling, to go on from 'user id "x" ...'; not for none.
const char *describe(spelling_fault fault) noexcept;

// What is wrong with an id, given in UTF-8, where ids are of that type.
//
// automatic: what reads as a number is digits of any script, with or without a sign, quotes or
// brackets around it, grouping (',' '_'), a fraction, an exponent, or 0x, 0o, 0b before it; with an
// exponent or such a prefix only if it fits into 64 bits, for hashes and addresses look like that
// too. What reads as a uuid is 32 hexadecimal digits with any hyphens, or five groups of them as
// long as a uuid's or shorter, with or without brackets, quotes, and urn:uuid: before it.
spelling_fault judge_spelling(user_id_type type, const char *id, std::size_t length) noexcept;

// The same for an encoding in which only ASCII has a known meaning: other bytes are letters.
spelling_fault judge_bytewise_spelling(user_id_type type, const char *id,
                                       std::size_t length) noexcept;

} // namespace coupon_guard
