// Taking units from the stripes of a quota, and the proof that there are too few.
#pragma once

#include "pg/outcome.hpp"
#include "quota/quota.hpp"

namespace coupon_guard {

// What came of taking units.
struct taking {
    outcome end;     // no: too few, and none that a transaction still open may bring
    int64 amount;    // how many, if any
    bool has_waited; // for a lock that others had
};

inline taking taken(int64 amount) {
    Assert(amount > 0);
    return {decided(true), amount, false};
}
inline taking without_units(const outcome &end) {
    return {end, 0, false};
}

// What is asked of a quota.
struct request_for_units {
    quota from;
    int64 least;        // at least so many,
    int64 most;         // and at most so many if one stripe has them
    TimestampTz moment; // a hold that expired before may be ended for its units
    bool contended;     // an earlier try ended undecided: the stripe is divided, so that fewer meet
};

// Why there are no units, if there are none.
enum class shortage : unsigned char {
    none,
    proven,       // there are too few: the outcome is no
    needs_holds,  // one unit is asked for, and there is none but that of an expired hold
    is_not_set_up // there is no such quota
};

// Takes units from the stripes; the table is locked (lock_quotas()).
taking take_from_stripes(const installation &guard, const request_for_units &asked,
                         shortage &reason);

// The units in the stripes now, as if the transactions in progress had not begun; of a quota that
// is set up. For an answer only: each stripe is read by itself, and leaves no trace under
// SERIALIZABLE.
int64 count_stripe_units(const installation &guard, const quota_id &id);

// Of these, the units of stripes that no transaction in progress is changing.
int64 count_units_at_hand(const installation &guard, const quota_id &id);

// Whether the stripe that was last taken from has as many, whoever is changing it: a matter of one
// look, without the index. Then the quota is set up, and it is not certain that there are too few.
bool has_units_at_hand(const installation &guard, const quota_id &id, int64 amount);

// Whether there are too few, for certain; takes none. False also if the quota is not set up.
bool has_too_few(const installation &guard, const request_for_units &asked);

} // namespace coupon_guard
