/// The extension on shards: redeem_coupon() through a router, and on the user's own shard.
#ifndef COUPON_RACE_STRATEGIES_SHARDED_HPP
#define COUPON_RACE_STRATEGIES_SHARDED_HPP

#include <cstdint>
#include <optional>
#include <string>

#include <coupon_guard/errors.hpp>

#include "strategies/strategy.hpp"

namespace coupon_race {

/// That a shard which may have units does not answer, so that the router could not tell: no
/// conflict with anybody, but to be repeated as one.
class shard_unavailable : public coupon_guard::transaction_conflict {
  public:
    explicit shard_unavailable(const std::string &message)
        : transaction_conflict{message, "RC014"} {}
};

/// What a shard answers by itself.
struct shard_answer {
    std::optional<std::int64_t> redemption_id;
    bool others_may_have_more = false; ///< if there is none
};

/// As one asks the router: each call is a transaction of its own on the user's shard. It throws
/// shard_unavailable, besides coupon_guard's errors.
class sharded_strategy : public guarded_strategy {
  public:
    sharded_strategy();

    std::optional<std::int64_t> take(pqxx::transaction_base &router,
                                     const request &asked) const override;
    /// gather_units(): how many units are on the user's shard then; 0: there are none anywhere.
    std::int64_t gather(pqxx::transaction_base &router, const request &asked) const;

    /// The same on the user's shard, as part of the transaction there.
    shard_answer take_there(pqxx::transaction_base &shard, const request &asked) const;

  protected:
    sharded_strategy(std::string method, bool alone);
};

/// What sessions with the shards are made for: a transaction there is the buyer's own.
class on_shard_strategy : public sharded_strategy {
  public:
    on_shard_strategy()
        : sharded_strategy{"on the shard", false} {}
};

} // namespace coupon_race

#endif
