#include "strategies/grouped.hpp"

#include <cstdlib>

#include <coupon_guard/group_client.hpp>

#include "place/conninfo.hpp"

namespace coupon_race {

namespace {

coupon_guard::group_client_options options_for(const std::string &schema) {
    coupon_guard::group_client_options options; // its defaults are what is raced
    options.schema = schema;
    return options;
}

/// Under a name of its own, for its backends to be told from all others. The level is the
/// strategy's, whatever the server's default (strategy::greeting()).
std::string as_shared(const std::string &connection) {
    conninfo parts = parse_conninfo(connection);
    parts["application_name"] = shared_client::application_name;
    const char *elsewhere = std::getenv("PGOPTIONS"); // which those of a conninfo replace
    std::string &options = parts.emplace("options", elsewhere ? elsewhere : "").first->second;
    options += " -c default_transaction_isolation=read\\ committed";
    return format_conninfo(parts);
}

class group : public shared_client {
  public:
    group(const std::string &connection, const std::string &schema)
        : client_{as_shared(connection), options_for(schema)} {}

    std::optional<std::int64_t> take(const request &asked, attempt &made) override {
        const coupon_guard::redemption got =
            client_.redeem(asked.user, asked.code, {asked.request_id});
        made.retries += got.retries;
        made.connections_lost += got.asked_again;
        return id_unless_sold_out(got.redeemed(), got);
    }

  private:
    coupon_guard::group_client client_;
};

} // namespace

grouped_strategy::grouped_strategy()
    : guarded_strategy{
          "redeem_coupon, grouped: all buyers share one group_client, of 2 connections", false} {
    name_ = "grouped";
}

int grouped_strategy::shared_connections() const {
    const coupon_guard::group_client_options options;
    return options.connections + options.connections_apart;
}

std::unique_ptr<shared_client> grouped_strategy::share(const std::string &connection) const {
    return std::make_unique<group>(connection, name());
}

} // namespace coupon_race
