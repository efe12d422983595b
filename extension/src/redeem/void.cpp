#include "redeem/void.hpp"

#include "pg/earlier_commit.hpp"
#include "redeem/give_back.hpp"
#include "redeem/refusal.hpp"

namespace coupon_guard {

bool void_redemption(const installation &guard, int64 id, Datum reason, bool has_reason,
                     int64 amount) {
    return until_decided([&] {
        redemption found;
        if (!find_redemption(guard, id, found))
            report_unknown_redemption(id);
        if (found.is_voided) {
            rest_on_earlier_commit();
            return decided(false);
        }
        if (amount > found.amount)
            report_more_than_redeemed(found, amount);
        bool is_part = amount != 0 && amount < found.amount;
        const shares returned =
            is_part ? rest_of(guard, found, found.amount - amount) : all_of(guard, found);
        CommandId before = GetCurrentCommandId(false);
        outcome end =
            is_part ? reduce_row(guard, found, found.amount - amount, before_returning(returned))
                    : void_row(guard, found, GetCurrentTimestamp(), reason, has_reason,
                               before_returning(returned));
        if (!is_yes(end))
            return look_again();
        settle_returned(guard, found, before);
        return end;
    });
}

} // namespace coupon_guard
