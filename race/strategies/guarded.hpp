/// redeem_coupon(), through the client library as anyone would use it.
#ifndef COUPON_RACE_STRATEGIES_GUARDED_HPP
#define COUPON_RACE_STRATEGIES_GUARDED_HPP

#include <memory>
#include <string>
#include <vector>

#include "strategies/drop_strategy.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

std::unique_ptr<strategy> make_guarded();

/// The extension in a schema of its own (quoted), with capped coupons.
void set_up_guard(pqxx::transaction_base &transaction, const std::string &schema,
                  const std::vector<capped_coupon> &coupons);

} // namespace coupon_race

#endif
