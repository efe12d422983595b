/// Reads a strategy's ledger when its race is over.
#ifndef COUPON_RACE_JUDGE_LEDGER_HPP
#define COUPON_RACE_JUDGE_LEDGER_HPP

#include <string>
#include <vector>

#include "scenario/race_log.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

/// All redemptions of the coupon, through a new connection: what is committed, and nothing else.
std::vector<ledger_row> read_ledger(const std::string &connection, const strategy &raced,
                                    const std::string &code);

} // namespace coupon_race

#endif
