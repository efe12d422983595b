// Taking what a redemption claims of quotas, all or none; and giving it back.
#pragma once

#include "pg/outcome.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

// Takes what all claims ask for, which are in the order of their quotas' kinds and then owners,
// each quota once; from the quota, or from a hold that expired before moment. no: one is refused,
// for there are too few units, and none that a transaction still open may bring; refused is the
// first such. If it is not yes, what had been taken by then is kept ahead: for the transaction's
// next try, or to go back when it commits. contended says whether an earlier try ended undecided.
outcome take_claims(const installation &guard, const claim *claims, int count, TimestampTz moment,
                    bool contended, int &refused);

// What is left for the caller of a quota from which an amount was refused just now.
int64 count_left(const installation &guard, const quota &from, TimestampTz moment);

// Whether one of the claims is known to be refused, without reading the tables: that was proven
// before this call began.
bool is_known_refusal(const claim *claims, int count, TimestampTz moment, int &refused);

// Whether the claim is refused for certain; takes nothing, waits for nobody.
bool is_certain_refusal(const installation &guard, const claim &wanted, TimestampTz moment);

// The same as take_claims() for one claim, waiting until it is decided. False: refused.
bool wait_for_claim(const installation &guard, const claim &wanted);

// Takes up to so many units past those taken ahead, waiting until it is decided; how many. 0: there
// are none.
int64 wait_for_units(const installation &guard, const quota &from, int64 most);

// Takes what is left, up to so many, out of all stripes and expired holds, and keeps it ahead;
// waits only while there is none and a transaction still open may bring some. How many are ahead
// then, perhaps more than that; 0: there are none. Whatever is not used goes back as all units
// ahead do.
int64 wait_for_units_ahead(const installation &guard, const quota &from, int64 most);

// Keeps what was taken and then not used, for this transaction's next use or return.
void keep_unused_claims(const installation &guard, const claim *claims, int count);

// The units that can be had in the newest committed state, those of expired holds included.
int64 count_remaining_units(const installation &guard, const quota &from, TimestampTz moment);

} // namespace coupon_guard
