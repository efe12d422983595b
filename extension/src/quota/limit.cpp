// An expired hold that is ended for the units that it has of one quota gives back what it has of
// the others. Whether these are set up is settled before the hold's row is touched
// (set_up_among()): so nobody is waited for with the row changed, for whoever sets up a quota waits
// for those who change rows that count under its limit.

#include "quota/limit.hpp"

#include "catalog/sqlstate.hpp"
#include "coupon/limited_row.hpp"
#include "coupon/own_changes.hpp"
#include "ledger/limit_use.hpp"
#include "quota/shares.hpp"

namespace coupon_guard {
namespace {

rows_of rows_under(const quota_id &id) {
    return {owner_of(id.kind), id.owner_id};
}

// A hold that is ended for its units of one quota, and what goes back to others.
struct ended_hold {
    quota_id taken_from;
    shares returned;
};

void settle_others(const installation &guard, const redemption &hold, void *context) {
    auto of = static_cast<ended_hold *>(context);
    const shares all = shares_of(hold);
    shares others = {};
    for (int i = 0; i < all.count; i++)
        if (!is_same(all.of[i].id, of->taken_from))
            others.of[others.count++] = all.of[i];
    of->returned = set_up_among(guard, others);
}

} // namespace

bool lock_owner(const installation &guard, const quota_id &id, LockTupleMode mode, bool wait) {
    return lock_limited_row(guard, owner_of(id.kind), id.owner_id, mode, wait);
}

bool find_quota(const installation &guard, const quota_id &id, quota &found) {
    const limit_owner owner = owner_of(id.kind);
    limited_row row;
    if (!find_limited_row(guard, owner, id.owner_id, row))
        return false;
    bool has_limit = is_budget(id.kind) ? has_budget(row) : is_capped(row);
    if (has_limit)
        found = is_budget(id.kind) ? budget_of(owner, row) : cap_of(owner, row);
    return has_limit;
}

bool is_change_pending(const quota_id &id, CommandId &command) {
    return is_own_change_pending(owner_of(id.kind), id.owner_id, command);
}

outcome find_use_in_progress(const installation &guard, const quota_id &id) {
    return find_row_in_progress(guard, rows_under(id));
}

int64 count_committed_use(const installation &guard, const quota_id &id) {
    return is_budget(id.kind) ? sum_committed_amounts(guard, rows_under(id))
                              : count_committed_rows(guard, rows_under(id));
}

int64 count_expired_use(const installation &guard, const quota_id &id, TimestampTz moment) {
    return is_budget(id.kind) ? sum_expired_amounts(guard, rows_under(id), moment)
                              : count_expired_holds(guard, rows_under(id), moment);
}

int64 most_expired_use(const installation &guard, const quota_id &id, TimestampTz moment,
                       int64 enough) {
    return is_budget(id.kind) ? sum_amounts_expiring(guard, rows_under(id), moment, enough)
                              : count_holds_expiring(guard, rows_under(id), moment, enough);
}

bool has_use(const installation &guard, const quota_id &id) {
    return has_live_rows(guard, rows_under(id));
}

int64 count_settled_use(const installation &guard, const quota_id &id) {
    CommandCounterIncrement();
    until_decided([&] { return find_use_in_progress(guard, id); });
    // Counted by a snapshot, for the scan judges each row by itself, and may have missed one that
    // was being updated.
    return count_committed_use(guard, id);
}

outcome end_expired_hold(const installation &guard, const quota_id &id, TimestampTz moment,
                         bool may_wait, int64 &freed, bool &has_waited) {
    ended_hold of = {id, {}};
    redemption ended;
    outcome end = take_over_expired_hold(guard, rows_under(id), moment, may_wait,
                                         {settle_others, &of}, ended, has_waited);
    if (!is_yes(end))
        return end;
    const shares all = shares_of(ended);
    freed = 0;
    for (int i = 0; i < all.count; i++)
        if (is_same(all.of[i].id, id))
            freed = all.of[i].units;
    return_shares(guard, of.returned);
    return end;
}

TimestampTz first_hold_deadline(const installation &guard, const quota_id &id) {
    return first_hold_deadline(guard, rows_under(id));
}

void report_below_use(const quota &limited, int64 used) {
    const char *owner = name_of(owner_of(limited.id.kind));
    if (is_budget(limited.id.kind))
        ereport(ERROR,
                (errcode(ERRCODE_CHECK_VIOLATION),
                 errmsg("%s of %s " INT64_FORMAT " cannot be " INT64_FORMAT,
                        limited.is_part ? "budget_rights" : "budget", owner, limited.id.owner_id,
                        limited.granted),
                 errdetail("Redemptions and holds have " INT64_FORMAT " of it.", used),
                 errhint("Void some, or set active = false to stop it from being redeemed.")));
    ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                    errmsg("%s of %s " INT64_FORMAT " cannot be " INT64_FORMAT,
                           limited.is_part ? "rights" : "max_redemptions", owner,
                           limited.id.owner_id, limited.granted),
                    errdetail(INT64_FORMAT " redemptions and holds are in use.", used),
                    errhint("Void some, or set active = false to stop it from being redeemed.")));
}

void report_used_up(const quota_id &id) {
    const char *owner = name_of(owner_of(id.kind));
    if (is_budget(id.kind))
        ereport(ERROR,
                (errcode(sqlstate_insufficient),
                 errmsg("the budget of %s " INT64_FORMAT " is insufficient", owner, id.owner_id),
                 errdetail("Less than the amount is left."),
                 errhint("Raise the budget to let more be redeemed.")));
    ereport(ERROR, (errcode(sqlstate_sold_out),
                    errmsg("%s " INT64_FORMAT " is sold out", owner, id.owner_id),
                    errdetail("All its units are redeemed or held."),
                    errhint("Raise max_redemptions to let more be redeemed.")));
}

} // namespace coupon_guard
