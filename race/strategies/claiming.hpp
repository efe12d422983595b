/// The extension for a campaign whose codes are handed out: claim_coupon(), through the client
/// library as anyone would use it.
#ifndef COUPON_RACE_STRATEGIES_CLAIMING_HPP
#define COUPON_RACE_STRATEGIES_CLAIMING_HPP

#include <optional>

#include "strategies/strategy.hpp"

namespace coupon_race {

class claiming_strategy : public strategy {
  public:
    claiming_strategy();

    bool needs_extension() const override { return true; }
    bool alone() const override { return false; }
    bool repeatable() const override { return true; }
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override;
};

} // namespace coupon_race

#endif
