#include "redeem/check.hpp"

#include "ledger/uses.hpp"
#include "quota/claims.hpp"
#include "quota/shares.hpp"
#include "redeem/round.hpp"

namespace coupon_guard {
namespace {

// What the limits of one row, a coupon or a campaign, leave.
struct left_by {
    int32 uses;
    int64 units;
    int64 budget;
    bool is_part; // what is used up is a shard's part
};

left_by count_left_by(const installation &guard, limit_owner owner, const limited_row &row,
                      const committed_uses &has, TimestampTz moment) {
    left_by left = {no_limit, any_number, any_number, false};
    if (row.max_per_user != no_limit)
        left.uses = Max(row.max_per_user - has.count, 0);
    if (is_capped(row))
        left.units = count_remaining_units(guard, cap_of(owner, row), moment);
    if (has_budget(row))
        left.budget = count_remaining_units(guard, budget_of(owner, row), moment);
    left.is_part = left.units == 0 ? row.rights != all_rights : row.budget_rights != all_rights;
    return left;
}

void take_in(coupon_check &check, const left_by &left) {
    check.remaining_uses = Min(check.remaining_uses, left.uses);
    check.remaining_units = Min(check.remaining_units, left.units);
    check.remaining_budget = Min(check.remaining_budget, left.budget);
}

// redeemed, or why these limits refuse.
coupon_status judge_uses(const left_by &left) {
    return left.uses == 0 ? coupon_status::already_redeemed : coupon_status::redeemed;
}

// The first that is no success counts.
void judge(coupon_check &check, limit_owner owner, coupon_status judged) {
    if (check.status != coupon_status::redeemed || judged == coupon_status::redeemed)
        return;
    check.status = judged;
    check.limited_by = owner;
}

void judge_quotas(coupon_check &check, limit_owner owner, const left_by &left) {
    bool is_gone = left.units == 0 || left.budget == 0;
    if (!is_gone || check.status != coupon_status::redeemed)
        return;
    judge(check, owner, coupon_status::sold_out);
    check.is_by_shard = left.is_part;
}

} // namespace

coupon_check nothing_found() {
    coupon_check check;
    memset(&check, 0, sizeof check);
    check.status = coupon_status::not_found;
    check.remaining_uses = no_limit;
    check.remaining_units = check.remaining_budget = any_number;
    return check;
}

coupon_check check_coupon(const installation &guard, const user_id &user, const code_key &key) {
    coupon_check check = nothing_found();
    check.has_coupon = find_coupon(guard, key, check.coupon);
    if (!check.has_coupon)
        return check;
    const coupon_row &coupon = check.coupon;
    TimestampTz now = GetCurrentTimestamp();
    const committed_uses has = read_committed_uses(guard, coupon, user, now);
    const left_by by_coupon = count_left_by(guard, limit_owner::coupon, coupon, has, now);
    take_in(check, by_coupon);
    check.status = coupon_status::redeemed;
    judge(check, limit_owner::coupon, judge_coupon(coupon, user.datum(), now));

    campaign_row campaign;
    left_by by_campaign = {no_limit, any_number, any_number, false};
    if (coupon.has_campaign) {
        find_campaign_of(guard, check.coupon, campaign);
        by_campaign = count_left_by(guard, limit_owner::campaign, campaign,
                                    read_committed_uses(guard, campaign, user, now), now);
        take_in(check, by_campaign);
        judge(check, limit_owner::campaign, judge_window(campaign, now));
    }
    // A live hold outlasts the window; one that has expired still has its units.
    if (has.has_live_hold || (check.status == coupon_status::redeemed && has.has_hold)) {
        check.status = coupon_status::redeemed;
        return check;
    }
    judge(check, limit_owner::coupon, judge_uses(by_coupon));
    judge(check, limit_owner::campaign, judge_uses(by_campaign));
    judge_quotas(check, limit_owner::campaign, by_campaign); // as redeem() claims
    judge_quotas(check, limit_owner::coupon, by_coupon);
    return check;
}

} // namespace coupon_guard
