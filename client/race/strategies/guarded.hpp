/// redeem_coupon(), through the client library as anyone would use it.
#ifndef COUPON_RACE_STRATEGIES_GUARDED_HPP
#define COUPON_RACE_STRATEGIES_GUARDED_HPP

#include <memory>

#include "strategies/strategy.hpp"

namespace coupon_race {

std::unique_ptr<strategy> make_guarded();

} // namespace coupon_race

#endif
