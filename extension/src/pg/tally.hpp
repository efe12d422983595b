// What a call has had to do that not every call has: plain counters of this backend, raised where
// things happen and taken where the call's answer leaves (statistics/). What is rolled back has
// happened all the same.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

enum class counter : unsigned char {
    rival_waits,     // for a transaction on which an answer hangs
    stripe_waits,    // for one that has units of a quota
    lock_waits,      // for the lock of a table, an index, a row, or for a turn
    rival_wait_time, // how long, in microseconds, in the same order
    stripe_wait_time,
    lock_wait_time,
    rounds_again,     // that were played again
    units_taken_over, // of holds that have expired
    quotas_set_up,
    cache_hits,   // coupons and campaigns that were known
    cache_misses, // and those that had to be read
};
inline constexpr int counter_count = 11;

struct tally {
    uint32 raised; // which are not 0, a bit each: most calls have but one or two
    uint64 of[counter_count];
};
static_assert(std::is_trivially_copyable_v<tally> && counter_count <= 32);

extern tally tallied; // since it was forgotten last

inline void tally_up(counter what, uint64 more = 1) {
    tallied.of[static_cast<int>(what)] += more;
    tallied.raised |= uint32{1} << static_cast<int>(what);
}

inline void forget(tally &noted) {
    for (uint32 left = noted.raised; left != 0; left &= left - 1)
        noted.of[pg_rightmost_one_pos32(left)] = 0;
    noted.raised = 0;
}

// What has come since an earlier state of it.
inline tally since(const tally &now, const tally &before) {
    tally more = {};
    for (int i = 0; i < counter_count; i++) {
        more.of[i] = now.of[i] - before.of[i];
        more.raised |= uint32{more.of[i] != 0} << i;
    }
    return more;
}

} // namespace coupon_guard
