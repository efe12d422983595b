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

    /// One request in a transaction of its own: the statement is the transaction, it commits by
    /// itself, in one round trip. `repeatable` says that asking again is harmless, which takes a
    /// connection of our own, for a borrowed one is gone with its loss.
    template <typename Request>
    auto answer(bool repeatable, Request &&request) {
        int retries = 0;
        int asked_again = 0;
        const auto ask = [&] {
            int conflicts = 0;
            auto got = retry_conflicts(pauses_, conflicts, [&] { return ask_once(request); });
            retries += conflicts;
            return got;
        };
        auto got = repeatable && !borrowed_ ? ask_until_told(pauses_, asked_again, ask) : ask();
        return counted(std::move(got), retries, asked_again);
    }

    const std::string &schema() const { return options_.schema; }

  private:
    template <typename Request>
    auto ask_once(Request &&request) {
        pqxx::connection &connection = ready_connection();
        return translating(connection, if_lost::nothing_happened, [&] {
            pqxx::nontransaction transaction{connection};
            return request(transaction);
        });
    }

    template <typename Answer>
    static Answer counted(Answer got, int retries, int asked_again) {
        got.retries = retries;
        got.asked_again = asked_again;
        return got;
    }
    static bool counted(bool got, int, int) { return got; }
    static availability counted(availability got, int, int) { return got; }

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
    return implementation_->answer(options.request_id.has_value(), [&](auto &transaction) {
        return coupon_guard::redeem(transaction, user, code, options, implementation_->schema());
    });
}

redemption client::hold(const user_id &user, std::string_view code, const hold_options &options) {
    return implementation_->answer(options.request_id.has_value(), [&](auto &transaction) {
        return coupon_guard::hold(transaction, user, code, options, implementation_->schema());
    });
}

redemption client::confirm(std::int64_t redemption_id) {
    return implementation_->answer(true, [&](auto &transaction) {
        return coupon_guard::confirm(transaction, redemption_id, implementation_->schema());
    });
}

bool client::void_redemption(std::int64_t redemption_id, const std::optional<std::string> &reason) {
    return implementation_->answer(false, [&](auto &transaction) {
        return coupon_guard::void_redemption(transaction, redemption_id, reason,
                                             implementation_->schema());
    });
}

redemptions client::redeem_coupons(const user_id &user, const std::vector<std::string> &codes,
                                   const redeem_options &options) {
    return implementation_->answer(options.request_id.has_value(), [&](auto &transaction) {
        return coupon_guard::redeem_coupons(transaction, user, codes, options,
                                            implementation_->schema());
    });
}

availability client::check(const user_id &user, std::string_view code) {
    return implementation_->answer(true, [&](auto &transaction) {
        return coupon_guard::check(transaction, user, code, implementation_->schema());
    });
}

} // namespace coupon_guard
