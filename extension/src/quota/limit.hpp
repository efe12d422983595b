// The limits that quotas are made of: how the row is locked and read that a quota belongs to, and
// how much of the limit the ledger says is in use.
#pragma once

#include "pg/outcome.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

// Locks the row that has the limit until the end of the transaction. False if there is none; or,
// unless told to wait, if another transaction has it.
bool lock_owner(const installation &guard, const quota_id &id, LockTupleMode mode, bool wait);

// The quota as the row has it in the newest committed state. False if there is no such row, or no
// such limit.
bool find_quota(const installation &guard, const quota_id &id, quota &found);

// Whether this transaction is changing the row, in which command, and triggers have not followed
// that as yet.
bool is_change_pending(const quota_id &id, CommandId &command);

// Of the ledger, in units. In use is what live rows have, holds whose deadline has passed included.
// Whether a transaction in progress is changing that: undecided.
outcome find_use_in_progress(const installation &guard, const quota_id &id);
int64 count_committed_use(const installation &guard, const quota_id &id);
int64 count_expired_use(const installation &guard, const quota_id &id, TimestampTz moment);
// The same with all that transactions in progress are changing, counted no further than enough.
int64 most_expired_use(const installation &guard, const quota_id &id, TimestampTz moment,
                       int64 enough);
// Whether anything is in use, what transactions in progress use included.
bool has_use(const installation &guard, const quota_id &id);

// Units in use, none of which a transaction in progress is changing: such transactions are waited
// for, and what the command at hand has done so far counts. The caller sees to it that none begins
// meanwhile to change them by other means than a quota.
int64 count_settled_use(const installation &guard, const quota_id &id);

// Ends a hold whose deadline has passed, whoever's it is, for the units it has of this quota:
// freed; those that it has of others go back. no if there is none; undecided if there is one, but a
// rival has it, or (unless it may wait) has its lock. has_waited is set if the lock of a row was
// waited for.
outcome end_expired_hold(const installation &guard, const quota_id &id, TimestampTz moment,
                         bool may_wait, int64 &freed, bool &has_waited);

// When the first hold ends, those that a transaction in progress is changing included; no_deadline
// if there is none.
TimestampTz first_hold_deadline(const installation &guard, const quota_id &id);

// 23514: the limit is to be what is less than used. RC006, RC009: more than it is in use.
void report_below_use(const quota &limited, int64 used);
void report_used_up(const quota_id &id);

} // namespace coupon_guard
