/// Reads a strategy's ledger when its race is over.
#ifndef COUPON_RACE_STRATEGIES_LEDGER_HPP
#define COUPON_RACE_STRATEGIES_LEDGER_HPP

#include <string>
#include <vector>

#include "scenario/race_log.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

/// All redemptions of the coupon that the query tells, through a new connection: what is committed,
/// and nothing else.
std::vector<ledger_row> read_ledger(const std::string &connection, const std::string &query,
                                    const std::string &code);
std::vector<ledger_row> read_ledger(const std::string &connection, const strategy &raced,
                                    const std::string &code);

/// The one figure that a query tells.
std::int64_t read_figure(const std::string &connection, const std::string &query);

} // namespace coupon_race

#endif
