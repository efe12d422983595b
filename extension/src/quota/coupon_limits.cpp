// A hold that is ended for the units that it has of one limit gives back what it has of the other:
// whether there is such a quota was settled before (prepare_quota(), in take_claims()), so nobody
// is waited for then.

#include "quota/coupon_limits.hpp"

#include "catalog/sqlstate.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/coupon_use.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"

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

bool find_budget(const installation &guard, int64 coupon_id, quota &found) {
    coupon_row coupon;
    if (!find_coupon(guard, coupon_id, coupon) || !has_budget(coupon))
        return false;
    found = budget_of(coupon);
    return true;
}

// Ends an expired hold; freed is told what it had of one kind, and of the other it goes back.
outcome take_over(const installation &guard, int64 coupon_id, TimestampTz moment, bool may_wait,
                  int64 &freed, bool &has_waited, quota_kind kind) {
    redemption ended;
    outcome end = take_over_expired_hold(guard, coupon_id, moment, may_wait, ended, has_waited);
    if (!is_yes(end))
        return end;
    coupon_share shares[most_shares];
    int count = shares_of(coupon_id, ended.amount, shares);
    freed = 0;
    for (int i = 0; i < count; i++) {
        if (shares[i].id.kind == kind)
            freed = shares[i].units;
        else if (is_quota_set_up(guard, shares[i].id))
            return_units(guard, shares[i].id, shares[i].units);
    }
    return end;
}

outcome take_over_for_cap(const installation &guard, int64 coupon_id, TimestampTz moment,
                          bool may_wait, int64 &freed, bool &has_waited) {
    return take_over(guard, coupon_id, moment, may_wait, freed, has_waited, quota_kind::coupon_cap);
}

outcome take_over_for_budget(const installation &guard, int64 coupon_id, TimestampTz moment,
                             bool may_wait, int64 &freed, bool &has_waited) {
    return take_over(guard, coupon_id, moment, may_wait, freed, has_waited,
                     quota_kind::coupon_budget);
}

void report_cap_below_use(const quota &cap, int64 used) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("max_redemptions of coupon " INT64_FORMAT " cannot be " INT64_FORMAT,
                           cap.id.owner_id, cap.granted),
                    errdetail(INT64_FORMAT " redemptions and holds are in use.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

void report_budget_below_use(const quota &budget, int64 used) {
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("budget of coupon " INT64_FORMAT " cannot be " INT64_FORMAT,
                           budget.id.owner_id, budget.granted),
                    errdetail("Redemptions and holds have " INT64_FORMAT " of it.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

void report_sold_out(int64 coupon_id) {
    ereport(ERROR,
            (errcode(sqlstate_sold_out), errmsg("coupon " INT64_FORMAT " is sold out", coupon_id),
             errdetail("All its units are redeemed or held."),
             errhint("Raise max_redemptions to let more be redeemed.")));
}

void report_insufficient(int64 coupon_id) {
    ereport(ERROR, (errcode(sqlstate_insufficient),
                    errmsg("the budget of coupon " INT64_FORMAT " is insufficient", coupon_id),
                    errdetail("Less than the amount is left."),
                    errhint("Raise the budget to let more be redeemed.")));
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
    take_over_for_cap,
    first_hold_deadline,
    report_cap_below_use,
    report_sold_out,
};

const limit_rules coupon_budget_rules = {
    lock_owner,
    find_budget,
    is_coupon_change_pending,
    find_row_in_progress,
    sum_committed_amounts,
    sum_expired_amounts,
    sum_amounts_expiring,
    has_live_rows,
    take_over_for_budget,
    first_hold_deadline,
    report_budget_below_use,
    report_insufficient,
};

int claims_of(const coupon_row &coupon, int64 amount, claim (&claims)[most_claims]) {
    int count = 0;
    if (is_capped(coupon))
        claims[count++] = {cap_of(coupon), 1};
    if (!has_budget(coupon))
        return count;
    if (amount == 0)
        ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("amount must not be null"),
                        errdetail("Coupon " INT64_FORMAT " has a budget.", coupon.id)));
    claims[count++] = {budget_of(coupon), amount};
    return count;
}

int shares_of(int64 coupon_id, int64 amount, coupon_share (&shares)[most_shares]) {
    Assert(amount >= 0);
    int count = 0;
    shares[count++] = {cap_of(coupon_id), 1};
    if (amount > 0)
        shares[count++] = {budget_of(coupon_id), amount};
    return count;
}

int shares_set_up(const installation &guard, int64 coupon_id, int64 amount,
                  coupon_share (&shares)[most_shares]) {
    int count = shares_of(coupon_id, amount, shares);
    int kept = 0;
    for (int i = 0; i < count; i++)
        if (is_quota_set_up(guard, shares[i].id))
            shares[kept++] = shares[i];
    return kept;
}

void return_shares(const installation &guard, const coupon_share *shares, int count) {
    for (int i = 0; i < count; i++)
        return_units(guard, shares[i].id, shares[i].units);
}

} // namespace coupon_guard
