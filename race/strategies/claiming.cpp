#include "strategies/claiming.hpp"

#include <string>

#include <coupon_guard/client.hpp>

namespace coupon_race {

claiming_strategy::claiming_strategy()
    : strategy{"claim_coupon"} {
    method_ = "claim_coupon(user, campaign)";
}

std::optional<std::int64_t> claiming_strategy::take(pqxx::transaction_base &transaction,
                                                    const request &asked) const {
    const auto got = coupon_guard::claim(transaction, asked.user, asked.code, name());
    if (got.claimed())
        return got.coupon_id;
    if (got.status == coupon_guard::status::sold_out)
        return std::nullopt;
    throw coupon_guard::unexpected_answer{"coupon_guard answered " +
                                          std::string{to_string(got.status)}};
}

} // namespace coupon_race
