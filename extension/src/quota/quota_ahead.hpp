// Units taken ahead: a transaction that redeems one capped coupon many times.
//
// Every change of a stripe leaves a row version behind that nobody can remove before the
// transaction ends. So from the second unit on a transaction takes 2, 4, 8 ... units of a stripe
// at once, keeps those not used yet in mind, and returns the rest when it commits. Nobody waits
// for that longer than without: the stripe is locked until the transaction ends anyhow.
//
// If what is kept in mind were lost, units would be lost, never made; but it cannot be: the rest is
// returned before commit or prepare, in the transaction itself, and a rollback (to a savepoint)
// takes the units back with the rows, so each subtransaction minds its own. It may use what those
// around it have to spare; if it is rolled back, they have it again.
//
// Whoever changes a quota other than by taking or returning units withdraws what this transaction
// has ahead first: returned later, it would not belong to the quota any more. If the quota has
// become void meanwhile, so has what was taken of it: it is neither used nor returned.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// Uses a unit that was taken ahead. False if there is none.
bool use_unit_ahead(const installation &guard, int64 coupon_id);

// Units that this transaction has taken ahead and not used yet.
int64 units_to_spare(const installation &guard, int64 coupon_id);

// Takes them out of mind, so that they are not returned at commit: the caller does what is to be
// done with them. A rollback to a savepoint undoes this too.
int64 withdraw_units_ahead(const installation &guard, int64 coupon_id);
void withdraw_all_units_ahead(const installation &guard);

// How many units to take of the coupon's next stripe.
int64 units_to_take(const installation &guard, int64 coupon_id);

// Keeps in mind that units were taken, spare of them not used yet.
void remember_units_taken(const installation &guard, int64 coupon_id, int64 spare);

// Keeps one unit that was taken and then not used, for this transaction's next use or return.
void keep_unused_unit(const installation &guard, int64 coupon_id);

// Registers the transaction callbacks; once, when the library is loaded.
void register_transaction_callbacks();

} // namespace coupon_guard
