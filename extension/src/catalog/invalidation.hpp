// Messages of changes, for what backends cache of the tables: sent to every backend of the
// database, this one too, at once and not with the commit. Whoever calls
// AcceptInvalidationMessages() has then noted all that were sent before.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// Says that rows of the coupon table have been changed by this transaction. To be called after the
// change and before its commit.
void send_coupon_change(const installation &guard);

// Says that this transaction has given units back to a quota, or a deadline to a hold.
void send_unit_return(const installation &guard);

// Grow with everything of the kind that this backend has noted. An altered table may hide a return
// of units, so counts as one.
uint64 coupon_changes();
uint64 unit_returns();

// Notes a message of the relation cache, about this relation or (InvalidOid) any.
void note_invalidation(Oid relation, const catalog &known);

} // namespace coupon_guard
