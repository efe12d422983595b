// Codes of a campaign that nobody holds: one is taken, or that there is none is certain.
#pragma once

#include "coupon/held_code.hpp"
#include "redeem/redeem.hpp"

namespace coupon_guard {

// What is looked for: a code for this user at this moment.
struct code_search {
    const installation &guard;
    int64 campaign_id;
    const user_id &user;
    TimestampTz moment;
};

// A code that is free, but somebody has locked its row.
struct busy_code {
    bool is_there;
    campaign_code code;
};

// Makes the user the holder of a code that can be handed out: taken. no: there is none, and none
// can come free; undecided: it hangs on a rival, or on the lock of busy, or is to be tried again.
// Waits for nobody. The caller has locked table coupon in ROW EXCLUSIVE mode, and the user holds no
// code of the campaign. Errors: as for change_holder().
outcome take_free_code(const code_search &search, campaign_code &taken, busy_code &busy);

// yes: nobody has a redemption or hold of the coupon; undecided: it hangs on a rival.
outcome is_unused(const installation &guard, int64 coupon_id, TimestampTz moment);

} // namespace coupon_guard
