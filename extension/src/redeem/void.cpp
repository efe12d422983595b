#include "redeem/void.hpp"

#include "quota/coupon_cap.hpp"
#include "quota/quota_setup.hpp"
#include "quota/quota_stripes.hpp"
#include "redeem/refusal.hpp"

namespace coupon_guard {
namespace {

void return_one_unit(const installation &guard, int64 coupon_id) {
    return_units(guard, cap_of(coupon_id), 1);
}

} // namespace

bool void_redemption(const installation &guard, int64 id, Datum reason, bool has_reason) {
    return until_decided([&] {
        redemption found;
        if (!find_redemption(guard, id, found))
            report_unknown_redemption(id);
        if (found.is_voided)
            return decided(false);
        // The unit comes back first, so that a trigger of the shop may redeem it.
        bool has_quota = is_quota_set_up(guard, cap_of(found.coupon_id));
        CommandId before = GetCurrentCommandId(false);
        outcome end = void_row(guard, found, GetCurrentTimestamp(), reason, has_reason,
                               has_quota ? return_one_unit : nullptr);
        if (is_yes(end) && !catalog_of(guard).ledger_plan.changes_plainly)
            end_quota_newer_than(guard, cap_of(found.coupon_id), before);
        return is_yes(end) ? end : look_again();
    });
}

} // namespace coupon_guard
