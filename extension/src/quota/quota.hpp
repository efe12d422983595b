// The quota of a capped coupon: the units left, divided over several rows (stripes), so that no
// row is hot.
#pragma once

#include "coupon/coupon.hpp"
#include "pg/scan.hpp"

namespace coupon_guard {

// Setting coupon_guard.quota_stripes: the most stripes that a quota is divided over, unless the
// coupon says otherwise (coupon.stripes).
extern int quota_stripes;

// Takes a unit of a capped coupon, from the quota or else from a hold that expired before moment.
// no: sold out, none is left, and none that a transaction still open may give back. contended says
// whether an earlier try ended undecided: then the stripe is divided, so that fewer meet.
outcome take_unit(const installation &guard, const coupon_row &coupon, TimestampTz moment,
                  bool contended);

// The same, waiting until it is decided. False: sold out.
bool wait_for_unit(const installation &guard, const coupon_row &coupon);

// Takes up to wanted units past those taken ahead, waiting until it is decided; how many. 0: sold
// out.
int64 wait_for_units(const installation &guard, const coupon_row &coupon, int64 wanted);

// Whether the quota is set up, and this stays so until the end of the transaction: to be asked
// before live rows of the ledger are made or ended by other means than take_unit(). Waits for
// whoever is setting it up or ending it.
bool is_quota_set_up(const installation &guard, int64 coupon_id);

// Whether this transaction itself has set the quota up, in this command or a later one: then it
// may have counted what the command did, or not.
bool is_quota_newer_than(const installation &guard, int64 coupon_id, CommandId command);

// Gives count units back to a quota that is set up, never waiting for anyone.
void return_units(const installation &guard, int64 coupon_id, int64 count);

// Errors: 23514 if more redemptions and holds are in use than the coupon's cap.
void check_cap_covers_use(const installation &guard, const coupon_row &coupon);

// Sets up the quota of a capped coupon if it is not: the cap less the live redemptions and holds in
// the ledger. Waits for transactions in progress that change these. False, and there is no quota,
// if there are more of them than the cap allows.
bool set_up_quota(const installation &guard, int64 coupon_id);

// To be called, with nothing held of the coupon, before one of its live rows is ended for the sake
// of its unit: what the taking of a unit may have to wait for is waited for now.
void prepare_quota(const installation &guard, int64 coupon_id);

// Sets up the quota of a coupon that this transaction has just created; left undone if the ledger
// has rows of it all the same (a restore).
void set_up_new_quota(const installation &guard, const coupon_row &coupon);

// Makes the quota, which is set up, follow a change of the cap from one number to another, the
// coupon's row being locked by this transaction. Waits for transactions in progress that hold units
// which are to go. Errors: 23514 if more than the new cap is in use.
void change_cap(const installation &guard, const coupon_row &before, const coupon_row &after);

// For rows of the ledger that are written with triggers of the shop running meanwhile, since this
// command. If one of them has had the quota counted anew, the row may have been counted or not: so
// the quota is ended. True if it was.
bool end_quota_newer_than(const installation &guard, int64 coupon_id, CommandId since);
// The same after a live row of a capped coupon was made. Errors: RC006 if by then more than the cap
// is in use.
void settle_new_row(const installation &guard, int64 coupon_id, CommandId since);

// Ends the quota, or all: whoever needs it next counts anew. Waits for transactions in progress
// that have units of it.
void end_quota(const installation &guard, int64 coupon_id);
void end_all_quotas(const installation &guard);

// RC006, for a live row that is beyond the cap.
[[noreturn]] void report_sold_out(int64 coupon_id);

// The units that buyers can have in the newest committed state, those of expired holds included.
int64 count_remaining_units(const installation &guard, const coupon_row &coupon,
                            TimestampTz moment);

} // namespace coupon_guard
