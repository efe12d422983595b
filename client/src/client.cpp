#include <coupon_guard/client.hpp>

#include <utility>

#include "error_translation.hpp"
#include "pqxx_compat.hpp"
#include "retry_loop.hpp"

namespace coupon_guard {

namespace {

std::uint64_t seed_of(const client_options &options) {
    if (options.jitter_seed)
        return *options.jitter_seed;
    std::random_device entropy;
    return (std::uint64_t{entropy()} << 32) | entropy();
}

} // namespace

/// Either owns its connection, which may be gone after a loss, or borrows one.
class client::implementation {
  public:
    implementation(std::string conninfo, client_options options)
        : options_{std::move(options)}
        , pauses_{options_.retry, seed_of(options_)}
        , conninfo_{std::move(conninfo)} {
        connect();
    }

    implementation(pqxx::connection &borrowed, client_options options)
        : options_{std::move(options)}
        , pauses_{options_.retry, seed_of(options_)}
        , borrowed_{&borrowed} {}

    redemption redeem(const user_id &user, std::string_view code, const redeem_options &options) {
        int retries = 0;
        redemption answer = retry_conflicts(
            pauses_, retries, [&] { return redeem_once(ready_connection(), user, code, options); });
        answer.retries = retries;
        return answer;
    }

  private:
    /// The statement is the transaction: it commits by itself, in one round trip.
    redemption redeem_once(pqxx::connection &connection, const user_id &user, std::string_view code,
                           const redeem_options &options) {
        return translating(connection, if_lost::nothing_happened, [&] {
            pqxx::nontransaction transaction{connection};
            return coupon_guard::redeem(transaction, user, code, options, options_.schema);
        });
    }

    pqxx::connection &ready_connection() {
        if (borrowed_) {
            // libpqxx 6 would open it again, later versions would not: the contract is not to.
            if (!borrowed_->is_open())
                throw connection_lost{"the borrowed connection is closed"};
            return *borrowed_;
        }
        if (!owned_ || !owned_->is_open())
            connect();
        return *owned_;
    }

    void connect() {
        owned_.reset();
        try {
            owned_ = std::make_unique<pqxx::connection>(conninfo_);
        } catch (const pqxx::broken_connection &caught) {
            throw connection_failed{caught.what(), compat::sqlstate_of(caught)};
        }
    }

    client_options options_;
    backoff pauses_;
    std::string conninfo_;
    std::unique_ptr<pqxx::connection> owned_;
    pqxx::connection *borrowed_ = nullptr;
};

client::client(std::string conninfo, client_options options)
    : implementation_{std::make_unique<implementation>(std::move(conninfo), std::move(options))} {}

client::client(pqxx::connection &borrowed, client_options options)
    : implementation_{std::make_unique<implementation>(borrowed, std::move(options))} {}

client::client(client &&) noexcept = default;
client &client::operator=(client &&) noexcept = default;
client::~client() = default;

redemption client::redeem(const user_id &user, std::string_view code,
                          const redeem_options &options) {
    return implementation_->redeem(user, code, options);
}

} // namespace coupon_guard
