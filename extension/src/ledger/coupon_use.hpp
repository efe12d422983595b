// What the ledger says of a coupon, whoever the users are: what is in use, and what expired holds
// have of it.
#pragma once

#include "ledger/ledger.hpp"

namespace coupon_guard {

// Voids one of the coupon's holds whose deadline has passed, whoever's it is, so that the caller
// can use its unit. no if there is none; undecided if there is one, but a rival has it, or (unless
// it may wait) has its lock. has_waited is set if the lock of a row was waited for.
outcome take_over_expired_hold(const installation &guard, int64 coupon_id, TimestampTz moment,
                               bool may_wait, bool &has_waited);

// When the first of the coupon's holds ends, those that a transaction in progress is changing
// included; no_deadline if there is none.
TimestampTz first_hold_deadline(const installation &guard, int64 coupon_id);

// Whether a transaction in progress has made or is ending one of the coupon's live rows: undecided.
outcome find_row_in_progress(const installation &guard, int64 coupon_id);

// Whether the coupon has a live row, or a transaction in progress is making one.
bool has_live_rows(const installation &guard, int64 coupon_id);

// The coupon's live rows in the newest committed state, and those of them that are holds whose
// deadline has passed.
int64 count_committed_rows(const installation &guard, int64 coupon_id);
int64 count_expired_holds(const installation &guard, int64 coupon_id, TimestampTz moment);

// The holds whose deadline has passed, those that transactions in progress are changing included,
// counted no further than enough. Those that are ended by a transaction in progress may come back;
// of this moment's there will never be more.
int64 count_holds_expiring(const installation &guard, int64 coupon_id, TimestampTz moment,
                           int64 enough);

// Whether the ledger holds any row (of the coupon) in the newest committed state.
bool has_redemptions(const installation &guard, int64 coupon_id);
bool has_redemptions(const installation &guard);

} // namespace coupon_guard
