#include "quota/shares.hpp"

#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"

namespace coupon_guard {
namespace {

void report_no_amount(limit_owner owner, int64 id) {
    ereport(ERROR,
            (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("amount must not be null"),
             errdetail(owner == limit_owner::campaign ? "Campaign " INT64_FORMAT " has a budget."
                                                      : "Coupon " INT64_FORMAT " has a budget.",
                       id)));
}

int add_claims(limit_owner owner, const limited_row &row, int64 amount, claim *claims) {
    int count = 0;
    if (is_capped(row))
        claims[count++] = {cap_of(owner, row), 1};
    if (!has_budget(row))
        return count;
    if (amount == 0)
        report_no_amount(owner, row.id);
    claims[count++] = {budget_of(owner, row), amount};
    return count;
}

void add_shares(limit_owner owner, int64 id, int64 units, int64 amount, shares &had) {
    Assert(amount >= 0);
    if (units > 0)
        had.of[had.count++] = {cap_of(owner, id), units};
    if (amount > 0)
        had.of[had.count++] = {budget_of(owner, id), amount};
    Assert(had.count <= most_shares);
}

shares shares_of(const redemption &row, int64 units, int64 amount) {
    shares had;
    had.count = 0;
    if (row.has_campaign)
        add_shares(limit_owner::campaign, row.campaign_id, units, amount, had);
    add_shares(limit_owner::coupon, row.coupon_id, units, amount, had);
    return had;
}

} // namespace

quota cap_of(limit_owner owner, const limited_row &row) {
    Assert(is_capped(row));
    return {cap_of(owner, row.id), granted_of(row.max_redemptions, row.rights), row.stripes,
            row.rights != all_rights};
}

quota budget_of(limit_owner owner, const limited_row &row) {
    Assert(has_budget(row));
    return {budget_of(owner, row.id), granted_of(row.budget, row.budget_rights), row.stripes,
            row.budget_rights != all_rights};
}

int claims_of(const coupon_row &coupon, const campaign_row *campaign, int64 amount,
              claim (&claims)[most_claims]) {
    int count = 0;
    if (campaign != nullptr)
        count += add_claims(limit_owner::campaign, *campaign, amount, claims);
    return count + add_claims(limit_owner::coupon, coupon, amount, claims + count);
}

shares shares_of(const redemption &row) {
    return shares_of(row, 1, row.amount);
}

shares budget_shares_of(const redemption &row, int64 amount) {
    return shares_of(row, 0, amount);
}

shares set_up_among(const installation &guard, const shares &all) {
    shares kept;
    kept.count = 0;
    for (int i = 0; i < all.count; i++)
        if (is_quota_set_up(guard, all.of[i].id))
            kept.of[kept.count++] = all.of[i];
    return kept;
}

void return_shares(const installation &guard, const shares &returned) {
    for (int i = 0; i < returned.count; i++)
        return_units(guard, returned.of[i].id, returned.of[i].units);
}

} // namespace coupon_guard
