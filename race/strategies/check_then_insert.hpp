/// Look whether the user has the coupon, and if not, insert: the three strategies that do so.
///
/// Between the look and the insert another request may look too. What the three differ in is what
/// then happens: nothing (naive), one of the two is rolled back and repeated (serializable), or the
/// other could not look yet (for-update).
#ifndef COUPON_RACE_STRATEGIES_CHECK_THEN_INSERT_HPP
#define COUPON_RACE_STRATEGIES_CHECK_THEN_INSERT_HPP

#include <memory>

#include "strategies/strategy.hpp"

namespace coupon_race {

std::unique_ptr<strategy> make_naive();
std::unique_ptr<strategy> make_serializable();
std::unique_ptr<strategy> make_for_update();

} // namespace coupon_race

#endif
