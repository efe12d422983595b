// The proof that the extension's tables, columns, indexes, triggers and types are as it made them.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// Fills in what is not known of the catalog yet but namespace, tables and whether it is updated;
// the tables are locked. Errors: 42703, 42704 or 55000 if something is missing or different.
void prove(catalog &found);

} // namespace coupon_guard
