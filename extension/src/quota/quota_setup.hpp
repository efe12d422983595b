// Setting up, changing and ending a quota.
#pragma once

#include "pg/outcome.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

// Whether the quota is set up, and this stays so until the end of the transaction: to be asked
// before what is in use is changed by other means than take_claims(). Waits for whoever is setting
// it up or ending it.
bool is_quota_set_up(const installation &guard, const quota_id &id);

// Whether this transaction itself has set the quota up, in this command or a later one: then it
// may have counted what the command did, or not.
bool is_quota_newer_than(const installation &guard, const quota_id &id, CommandId command);

// Whether the quota may still be that of before a change of its limit, which this transaction is
// making, and which triggers have not followed as yet: then it has to be counted anew.
bool is_quota_outdated(const installation &guard, const quota_id &id);

// Errors: 23514 if more than is granted is in use.
void check_grant_covers_use(const installation &guard, const quota &limited);

// Sets up the quota if it is not: what is granted less what the ledger says is in use. Waits for
// transactions in progress that change this. False, and there is no quota, if more is in use.
bool set_up_quota(const installation &guard, const quota_id &id);

// To be called, with nothing held of the quota, before a live row of the ledger is ended for the
// sake of its units: what the taking of units may have to wait for is waited for now. Undecided as
// long as something was: what was read before, of the owner too, has to be read anew.
outcome prepare_quota(const installation &guard, const quota_id &id);

// Sets up the quota of a row that this transaction has just created; left undone if something is in
// use all the same (a restore).
void set_up_new_quota(const installation &guard, const quota &created);

// Makes the quota, which is set up, follow a change of what is granted, the owner's row being
// locked by this transaction. Waits for transactions in progress that hold units which are to go.
// Errors: 23514 if more than that is in use.
void change_grant(const installation &guard, const quota &before, const quota &after);

// For rows of the ledger that are written with triggers of the shop running meanwhile, since this
// command. If one of them has had the quota counted anew, the row may have been counted or not: so
// the quota is ended. True if it was.
bool end_quota_newer_than(const installation &guard, const quota_id &id, CommandId since);
// The same after a row that uses units was made. Errors: RC006 if by then more than is granted is
// in use.
void settle_new_use(const installation &guard, const quota_id &id, CommandId since);

// Ends the quota, or all: whoever needs it next counts anew. Waits for transactions in progress
// that have units of it.
void end_quota(const installation &guard, const quota_id &id);
void end_all_quotas(const installation &guard);

} // namespace coupon_guard
