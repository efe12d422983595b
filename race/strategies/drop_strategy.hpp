/// A way of selling the units of a capped coupon: its tables, and what one transaction does to take
/// a unit. When it is committed, rolled back or killed is the scenario's business.
#ifndef COUPON_RACE_STRATEGIES_DROP_STRATEGY_HPP
#define COUPON_RACE_STRATEGIES_DROP_STRATEGY_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pqxx/transaction_base>

namespace coupon_race {

/// A coupon to be set up.
struct capped_coupon {
    std::string code;
    std::int64_t cap = 0;
};

class drop_strategy {
  public:
    virtual ~drop_strategy() = default;
    virtual std::string_view name() const = 0;
    /// One line: what a transaction does.
    virtual std::string_view method() const = 0;
    virtual bool needs_extension() const { return false; }
    virtual bool serializable() const { return false; }
    /// True if a transaction whose COMMIT was not answered may be repeated to learn what became of
    /// it.
    virtual bool repeatable() const { return false; }

    virtual void set_up(pqxx::transaction_base &transaction,
                        const std::vector<capped_coupon> &coupons) const = 0;

    /// Takes a unit for `user` in the transaction: the redemption's id, or nothing if it is refused
    /// as sold out. `request_id` is the same for every repetition of one purchase. Throws what
    /// libpqxx or coupon_guard throws.
    virtual std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                             const std::string &code,
                                             const std::string &request_id) const = 0;

    /// A query for the redemptions of the coupon $1: (redemption_id bigint, user_id bigint).
    virtual std::string ledger_query() const = 0;
    /// A query for the number of its own invariants that do not hold.
    virtual std::string broken_invariants_query() const = 0;
};

/// All of them, in the order they are raced: what is commonly done first, the cure last.
const std::vector<std::unique_ptr<drop_strategy>> &drop_strategies();

} // namespace coupon_race

#endif
