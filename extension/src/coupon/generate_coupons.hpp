// New coupons whose codes are drawn at random.
#pragma once

#include "catalog/catalog.hpp"
#include "core/code_pattern.hpp"

namespace coupon_guard {

struct generation {
    int64 count;
    Datum pattern_text; // for messages
    const code_pattern *pattern;
    bool has_check_character;
    double max_share;   // of the pattern's codes
    int64 notice_every; // so many coupons; 0: never
    // The coupons' columns.
    NullableDatum campaign_id, active, starts_at, expires_at, max_redemptions, max_per_user, budget,
        terms;
};

// Writes the coupons, and adds their codes to the result. Waits for nobody: a code that another
// transaction is writing is taken, however that ends.
// Errors: 22023 if the pattern holds too few codes; 54000 if too few of them are left; whatever
// constraints and triggers of the table raise.
void generate_coupons(const installation &guard, const generation &wanted, ReturnSetInfo *result);

} // namespace coupon_guard
