// Patterns of codes (core/code_pattern.hpp) in the database's encoding, and those of which the
// table of coupons says that all their codes have a check character.
//
// A validated CHECK constraint CHECK (coupon_code_fits(code, PATTERN, ALPHABET)) says so, and no
// setting does: only what the table itself enforces makes it certain that there is no coupon with
// another check character, whoever wrote the rows, and since when. coupon_code_fits() looks at the
// key of the code alone, and code_key is the key of every row; so what it refuses is no row's key.
#pragma once

#include "catalog/catalog.hpp"
#include "core/code_pattern.hpp"

namespace coupon_guard {

// Both are text. Errors: none but in the result.
void parse_code_pattern(Datum pattern, Datum alphabet, code_pattern &parsed);

// Notes in found the patterns of the table's constraints, which must be those of the table of
// coupons, its columns found already. They are the caller's memory.
void find_checked_patterns(Relation table, catalog &found);

// Keeps them for as long as the backend. What was kept before is freed: there is one catalog.
void keep_checked_patterns(catalog &proven);

// Whether the table of coupons, locked by the caller, cannot have a coupon with this key, because
// it has no right check character.
bool is_ruled_out(const catalog &tables, const code_key &key);

} // namespace coupon_guard
