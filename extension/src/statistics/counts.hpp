// The counts of a database's calls, in shared memory: by function and outcome. They are there only
// if the library is preloaded.
#pragma once

#include "catalog/status.hpp"
#include "pg/tally.hpp"

namespace coupon_guard {

// What was called.
enum class called : unsigned char {
    redeem_coupon,
    redeem_coupon_strict,
    redeem_coupons,
    redeem_coupon_for_each,
    hold_coupon,
    confirm_hold,
    void_redemption,
    check_coupon,
    claim_coupon,
    release_claim,
};
inline constexpr int called_count = 10;
inline constexpr const char *called_names[called_count] = {
    "redeem_coupon", "redeem_coupon_strict", "redeem_coupons",  "redeem_coupon_for_each",
    "hold_coupon",   "confirm_hold",         "void_redemption", "check_coupon",
    "claim_coupon",  "release_claim",
};

// What came of a call: a status, or an error.
inline constexpr int outcome_by_error = status_count;
inline constexpr int outcome_count = status_count + 1;

extern bool counts_calls; // the library is preloaded

// Whether calls in this database are counted, as far as can be said without reading a table. At the
// first call of a backend the database gets its place among those that are counted, if there is
// one.
bool has_counts();

// Adds one call, and what it took. There are counts.
void add_to_counts(called function, int outcome, const tally &spent);

// The calls of one function that ended so, and what they took.
struct call_counts {
    uint64 calls;
    tally spent;
};
call_counts read_counts(called function, int outcome);

// When the counting began: with the database's first call, or the last reset.
TimestampTz counted_since();

void reset_counts();

// Errors: 55000 if the library is not preloaded, 53400 if there is no place for this database.
void check_counts();

// The setting and the shared memory, if the library is being preloaded; called once, when it is
// loaded.
void register_counts();

} // namespace coupon_guard
