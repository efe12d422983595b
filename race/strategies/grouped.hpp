/// The extension for clients who share connections: redeem_coupon() through a group_client.
#ifndef COUPON_RACE_STRATEGIES_GROUPED_HPP
#define COUPON_RACE_STRATEGIES_GROUPED_HPP

#include <memory>
#include <string>

#include "strategies/strategy.hpp"

namespace coupon_race {

/// What is asked in a transaction of the client's own, to be rolled back or not, is asked as
/// guarded_strategy does, on a connection of the client's own.
class grouped_strategy : public guarded_strategy {
  public:
    grouped_strategy();

    int shared_connections() const override;
    std::unique_ptr<shared_client> share(const std::string &connection) const override;
};

} // namespace coupon_race

#endif
