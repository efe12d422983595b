// What the ledger says of a coupon or a campaign, whoever the users are: what is in use of its
// limits, and what expired holds have of them.
#pragma once

#include "ledger/ledger.hpp"

namespace coupon_guard {

// The rows that count under the limits of a coupon, or of a campaign.
struct rows_of {
    limit_owner owner;
    int64 id;
};

// Voids one of the holds whose deadline has passed, whoever's it is, so that the caller can use its
// units: ended. no if there is none; undecided if there is one, but a rival has it, or (unless it
// may wait) has its lock. has_waited is set if the lock of a row was waited for. Before the row of
// a hold is touched it is shown to prepare, which may wait.
struct hold_watcher {
    void (*prepare)(const installation &guard, const redemption &hold, void *context);
    void *context;
};
outcome take_over_expired_hold(const installation &guard, const rows_of &of, TimestampTz moment,
                               bool may_wait, const hold_watcher &watcher, redemption &ended,
                               bool &has_waited);

// When the first hold ends, those that a transaction in progress is changing included; no_deadline
// if there is none.
TimestampTz first_hold_deadline(const installation &guard, const rows_of &of);

// Whether a transaction in progress has made or is ending a live row: undecided.
outcome find_row_in_progress(const installation &guard, const rows_of &of);

// Whether there is a live row, or a transaction in progress is making one.
bool has_live_rows(const installation &guard, const rows_of &of);

// Live rows in the newest committed state, and those of them that are holds whose deadline has
// passed.
int64 count_committed_rows(const installation &guard, const rows_of &of);
int64 count_expired_holds(const installation &guard, const rows_of &of, TimestampTz moment);

// The same of their amounts.
int64 sum_committed_amounts(const installation &guard, const rows_of &of);
int64 sum_expired_amounts(const installation &guard, const rows_of &of, TimestampTz moment);

// The holds whose deadline has passed, those that transactions in progress are changing included,
// counted no further than enough. Those that are ended by a transaction in progress may come back;
// of this moment's there will never be more.
int64 count_holds_expiring(const installation &guard, const rows_of &of, TimestampTz moment,
                           int64 enough);
int64 sum_amounts_expiring(const installation &guard, const rows_of &of, TimestampTz moment,
                           int64 enough);

// Whether the ledger holds any row in the newest committed state: of a coupon or campaign, of any
// campaign, or at all.
bool has_redemptions(const installation &guard, const rows_of &of);
bool has_redemptions_of_campaigns(const installation &guard);
bool has_redemptions(const installation &guard);

} // namespace coupon_guard
