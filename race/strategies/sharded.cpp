#include "strategies/sharded.hpp"

#include <utility>

#include <coupon_guard/client.hpp>
#include <pqxx/pqxx>

#include "error_translation.hpp"
#include "pqxx_compat.hpp"
#include "sql_quoting.hpp"

namespace coupon_race {

namespace {

coupon_guard::redeem_options options_for(const request &asked) {
    coupon_guard::redeem_options options;
    if (!asked.request_id.empty())
        options.request_id = asked.request_id;
    return options;
}

} // namespace

sharded_strategy::sharded_strategy()
    : sharded_strategy{"redeem_coupon on shards: half of the buyers through the router, half on "
                       "their shard; asked again under the same id",
                       true} {}

sharded_strategy::sharded_strategy(std::string method, bool alone)
    : guarded_strategy{"sharded", std::move(method), alone} {}

std::optional<std::int64_t> sharded_strategy::take(pqxx::transaction_base &router,
                                                   const request &asked) const {
    const auto got =
        coupon_guard::redeem(router, asked.user, asked.code, options_for(asked), name());
    if (got.status == coupon_guard::status::unavailable)
        throw shard_unavailable{"a shard does not answer"};
    return id_unless_sold_out(got.redeemed(), got);
}

std::int64_t sharded_strategy::gather(pqxx::transaction_base &router, const request &asked) const {
    try {
        return coupon_guard::compat::exec(router,
                                          "SELECT " + coupon_guard::quote_identifier(name()) +
                                              ".gather_units($1::bigint, $2)",
                                          {std::to_string(asked.user), asked.code})[0][0]
            .as<std::int64_t>();
    } catch (const std::exception &caught) {
        if (coupon_guard::compat::sqlstate_of(caught) == "RC014")
            throw shard_unavailable{caught.what()};
        throw;
    }
}

shard_answer sharded_strategy::take_there(pqxx::transaction_base &shard,
                                          const request &asked) const {
    const auto got =
        coupon_guard::redeem(shard, asked.user, asked.code, options_for(asked), name());
    return {id_unless_sold_out(got.redeemed(), got),
            got.limited_by == coupon_guard::limited_by::shard};
}

} // namespace coupon_race
