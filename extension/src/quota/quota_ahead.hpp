// Units taken ahead: a transaction that takes of one quota many times.
//
// Every change of a stripe leaves a row version behind that nobody can remove before the
// transaction ends. So from the second unit on a transaction takes 2, 4, 8 ... units of a stripe
// at once, keeps a list of those not used yet, and returns the rest when it commits. (If it knows
// by then how many it will want, as many: the first alone may be the only one that is not refused.)
// Nobody waits for that longer than without: the stripe is locked until the transaction ends
// anyhow.
//
// If the list were lost, units would be lost, never made; but it cannot be: the rest is
// returned before commit or prepare, in the transaction itself, and a rollback (to a savepoint)
// takes the units back with the rows, so each subtransaction has its own. It may use what those
// around it have to spare; if it is rolled back, they have it again.
//
// Whoever changes a quota other than by taking or returning units withdraws what this transaction
// has ahead first: returned later, it would not belong to the quota any more. If the quota has
// become void meanwhile, so has what was taken of it: it is neither used nor returned.
#pragma once

#include "quota/quota.hpp"

namespace coupon_guard {

// Uses units that were taken ahead. False, and none is used, if there are fewer.
bool use_units_ahead(const installation &guard, const quota_id &id, int64 amount);

// Units that this transaction has taken ahead and not used yet.
int64 units_to_spare(const installation &guard, const quota_id &id);

// Takes them out of the list, so that they are not returned at commit: the caller does what is to
// be done with them. A rollback to a savepoint undoes this too.
int64 withdraw_units_ahead(const installation &guard, const quota_id &id);
void withdraw_all_units_ahead(const installation &guard);

// How many units to take of the quota's next stripe, where so many are missing, and the caller is
// likely to want so many next.
int64 units_to_take(const installation &guard, const quota_id &id, int64 missing, int64 next);

// Notes that units were taken, and how many are used, of these and those that were there to spare.
void remember_units_taken(const installation &guard, const quota_id &id, int64 amount, int64 used);

// Keeps units that were taken and then not used, for this transaction's next use or return.
void keep_units_ahead(const installation &guard, const quota_id &id, int64 amount);

// Registers the transaction callbacks; once, when the library is loaded.
void register_transaction_callbacks();

} // namespace coupon_guard
