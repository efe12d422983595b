#include "quota/coupon_cap.hpp"

#include "catalog/sqlstate.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/coupon_use.hpp"

namespace coupon_guard {
namespace {

bool lock_owner(const installation &guard, int64 coupon_id, LockTupleMode mode, bool wait) {
    return wait ? lock_coupon(guard, coupon_id, mode) : lock_coupon_at_once(guard, coupon_id, mode);
}

bool find_cap(const installation &guard, int64 coupon_id, quota &found) {
    coupon_row coupon;
    if (!find_coupon(guard, coupon_id, coupon) || !is_capped(coupon))
        return false;
    found = cap_of(coupon);
    return true;
}

outcome take_over(const installation &guard, int64 coupon_id, TimestampTz moment, bool may_wait,
                  int64 &freed, bool &has_waited) {
    freed = 1;
    return take_over_expired_hold(guard, coupon_id, moment, may_wait, has_waited);
}

void report_cap_below_use(const quota &cap, int64 used) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("max_redemptions of coupon " INT64_FORMAT " cannot be " INT64_FORMAT,
                           cap.id.owner_id, cap.granted),
                    errdetail(INT64_FORMAT " redemptions and holds are in use.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

void report_sold_out(int64 coupon_id) {
    ereport(ERROR,
            (errcode(sqlstate_sold_out), errmsg("coupon " INT64_FORMAT " is sold out", coupon_id),
             errdetail("All its units are redeemed or held."),
             errhint("Raise max_redemptions to let more be redeemed.")));
}

} // namespace

const limit_rules coupon_cap_rules = {
    lock_owner,
    find_cap,
    is_coupon_change_pending,
    find_row_in_progress,
    count_committed_rows,
    count_expired_holds,
    count_holds_expiring,
    has_live_rows,
    take_over,
    first_hold_deadline,
    report_cap_below_use,
    report_sold_out,
};

} // namespace coupon_guard
