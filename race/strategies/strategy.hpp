/// A way of redeeming a coupon: its tables, what one request does, and where its ledger is.
#ifndef COUPON_RACE_STRATEGIES_STRATEGY_HPP
#define COUPON_RACE_STRATEGIES_STRATEGY_HPP

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <pqxx/transaction_base>

#include <coupon_guard/retry.hpp>

namespace coupon_race {

/// How one request ended, as the one who made it sees it.
enum class answer {
    redeemed, ///< acknowledged: committed, as far as the client was told
    refused,  ///< the user has it already
    failed,   ///< an error; nothing was redeemed
    unknown,  ///< the connection broke before the outcome was told
};

struct attempt {
    coupon_race::answer answer = answer::failed;
    std::optional<std::int64_t> redemption_id; ///< with `redeemed`: which row is meant to be ours
    int retries = 0;
    std::string error; ///< with `failed` and `unknown`
};

struct session_settings {
    std::string connection; ///< of the race's own database
    /// What a strategy that looks before it writes does in between, as a slow service would.
    std::function<void()> think;
    coupon_guard::retry_policy retry;
    std::uint64_t seed = 0;
};

/// One client of the shop: a connection of its own. Used by one thread.
class session {
  public:
    virtual ~session() = default;
    /// One request, with all its repetitions. Throws nothing that the request could meet: that is
    /// an answer too.
    virtual attempt redeem(std::int64_t user, const std::string &code) = 0;
};

class strategy {
  public:
    virtual ~strategy() = default;
    virtual std::string_view name() const = 0;
    /// One line: what a request does.
    virtual std::string_view method() const = 0;
    /// False only for the one that is here to fail.
    virtual bool promises_once_per_user() const = 0;
    virtual bool needs_extension() const = 0;
    /// Creates schema and tables, and coupons with these codes, each once per user.
    virtual void set_up(pqxx::transaction_base &transaction,
                        const std::vector<std::string> &codes) const = 0;
    virtual std::unique_ptr<session> open(const session_settings &settings) const = 0;
    /// A query for the redemptions of the coupon $1: (redemption_id bigint, user_id bigint).
    virtual std::string ledger_query() const = 0;
};

/// All of them, in the order they are raced: the cautionary tale first, the cure last.
const std::vector<std::unique_ptr<strategy>> &strategies();

} // namespace coupon_race

#endif
