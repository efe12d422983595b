// The quota of a capped coupon: the units left, divided over several rows (stripes), so that no
// row is hot.
#pragma once

#include "coupon.hpp"
#include "pg/scan.hpp"

namespace coupon_guard {

// Setting coupon_guard.quota_stripes: the most stripes that a quota is divided over.
extern int quota_stripes;

enum class supply : unsigned char {
    taken,     // one unit is ours
    sold_out,  // none is left, and none that a transaction still open may give back
    undecided, // none is free; wait for rival, if it names a transaction, and look again
};

// Takes a unit of a capped coupon, from the quota or else from a hold that expired before moment.
supply take_unit(const schema &objects, const coupon &offer, TimestampTz moment, rival &rival);

// The same, waiting until it is decided. False: sold out.
bool wait_for_unit(const schema &objects, const coupon &offer);

// Takes up to wanted units past those taken ahead, waiting until it is decided; how many. 0: sold
// out.
int64 wait_for_units(const schema &objects, const coupon &offer, int64 wanted);

// Whether the quota is set up, and this stays so until the end of the transaction: to be asked
// before live rows of the ledger are made or ended by other means than take_unit(). Waits for
// whoever is setting it up.
bool is_quota_set_up(const schema &objects, int64 coupon_id);

// Gives count units back to a quota that is set up, never waiting for anyone.
void return_units(const schema &objects, int64 coupon_id, int64 count);

// Errors: 23514 if more redemptions and holds are in use than the coupon's cap.
void check_cap_covers_use(const schema &objects, const coupon &offer);

// Sets up the quota if it is not: the cap less the live redemptions and holds in the ledger, but
// at least none. Waits for transactions in progress that change these.
void set_up_quota(const schema &objects, const coupon &offer);

// The same for a coupon that this transaction has just created; left undone if the ledger has rows
// of it all the same (a restore).
void set_up_new_quota(const schema &objects, const coupon &offer);

// Makes the quota follow a change of the cap from one number to another, the coupon's row being
// locked by this transaction. Waits for transactions in progress that hold units which are to go.
// Errors: 23514 if more than the new cap is in use.
void change_cap(const schema &objects, const coupon &before, const coupon &after);

// Removes the quota, or all; the caller keeps redemptions away by a lock on the ledger.
void drop_quota(const schema &objects, int64 coupon_id);
void drop_all_quotas(const schema &objects);

// The units that buyers can have in the newest committed state, those of expired holds included.
int64 count_units_left(const schema &objects, const coupon &offer, TimestampTz moment);

} // namespace coupon_guard
