/// Insert first, and let a unique index say whether the user has the coupon already.
#ifndef COUPON_RACE_STRATEGIES_UNIQUE_INDEX_HPP
#define COUPON_RACE_STRATEGIES_UNIQUE_INDEX_HPP

#include <memory>

#include "strategies/strategy.hpp"

namespace coupon_race {

std::unique_ptr<strategy> make_unique_index();

} // namespace coupon_race

#endif
