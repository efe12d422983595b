/// A way of keeping a unit for a buyer who is still thinking: its tables, and what holding and
/// confirming are.
#ifndef COUPON_RACE_STRATEGIES_CHECKOUT_STRATEGY_HPP
#define COUPON_RACE_STRATEGIES_CHECKOUT_STRATEGY_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pqxx/transaction_base>

#include "strategies/drop_strategy.hpp"

namespace coupon_race {

class checkout_strategy {
  public:
    virtual ~checkout_strategy() = default;
    virtual std::string_view name() const = 0;
    /// One line: what it does.
    virtual std::string_view method() const = 0;
    virtual bool needs_extension() const { return false; }

    virtual void set_up(pqxx::transaction_base &transaction,
                        const std::vector<capped_coupon> &coupons) const = 0;

    /// Keeps a unit for `user`: the hold's id, or nothing if it is refused as sold out. What both
    /// throw is what libpqxx or coupon_guard throws.
    virtual std::optional<std::int64_t> hold(pqxx::transaction_base &transaction, std::int64_t user,
                                             const std::string &code,
                                             std::chrono::microseconds ttl) const = 0;
    /// False if the hold's deadline has passed.
    virtual bool confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const = 0;
    /// What must be run now and then, for abandoned units to come back; empty: nothing.
    virtual std::string sweep() const { return {}; }

    /// A query for the confirmed redemptions of the coupon $1:
    /// (redemption_id bigint, user_id bigint).
    virtual std::string ledger_query() const = 0;
    /// A query for the number of holds whose unit was taken back.
    virtual std::string came_back_query() const = 0;
    /// A query for the number of its own invariants that do not hold.
    virtual std::string broken_invariants_query() const = 0;
};

/// All of them, in the order they are raced: what is commonly done first, the cure last.
const std::vector<std::unique_ptr<checkout_strategy>> &checkout_strategies();

} // namespace coupon_race

#endif
