#include <coupon_guard/client.hpp>

#include <utility>

#include "error_translation.hpp"
#include "owned_connection.hpp"
#include "request.hpp"
#include "retry_loop.hpp"

namespace coupon_guard {

/// Either owns its connection, which may be gone after a loss, or borrows one.
class client::implementation {
  public:
    implementation(std::string conninfo, client_options options)
        : options_{std::move(options)}
        , pauses_{options_.retry, seed_of(options_.jitter_seed)}
        , owned_{std::move(conninfo)} {
        owned_->ready();
    }

    implementation(pqxx::connection &borrowed, client_options options)
        : options_{std::move(options)}
        , pauses_{options_.retry, seed_of(options_.jitter_seed)}
        , borrowed_{&borrowed} {}

    /// One request in a transaction of its own: the statement is the transaction, it commits by
    /// itself, in one round trip. Asking again takes a connection of our own, for a borrowed one is
    /// gone with its loss.
    template <typename Answer>
    Answer answer(const request<Answer> &asked) {
        return ask_with_patience(pauses_, asked.is_repeatable && !borrowed_,
                                 [&](int &) { return ask_once(asked); });
    }

    const std::string &schema() const { return options_.schema; }

  private:
    /// A connection of ours that was lost before anything was sent, since its server closed it
    /// while nobody asked, costs the caller nothing but a new one.
    template <typename Answer>
    Answer ask_once(const request<Answer> &asked) {
        if (owned_) {
            try {
                return ask_on(owned_->ready(), asked);
            } catch (const connection_lost &) {
                owned_->close();
            }
        }
        return ask_on(ready_connection(), asked);
    }

    /// Throws connection_lost only if nothing was sent.
    template <typename Answer>
    Answer ask_on(pqxx::connection &connection, const request<Answer> &asked) {
        return translating(connection, if_lost::nothing_happened, [&] {
            pqxx::nontransaction transaction{connection};
            return asked.read(answer_rows{asked.call.run(transaction)});
        });
    }

    pqxx::connection &ready_connection() {
        if (owned_)
            return owned_->ready();
        // libpqxx 6 would open it again, later versions would not: the contract is not to.
        if (!borrowed_->is_open())
            throw connection_lost{"the borrowed connection is closed"};
        return *borrowed_;
    }

    client_options options_;
    backoff pauses_;
    std::optional<owned_connection> owned_;
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
    return implementation_->answer(redeem_request(user, code, options, implementation_->schema()));
}

redemption client::hold(const user_id &user, std::string_view code, const hold_options &options) {
    return implementation_->answer(hold_request(user, code, options, implementation_->schema()));
}

redemption client::confirm(std::int64_t redemption_id, const std::optional<std::int64_t> &amount) {
    return implementation_->answer(
        confirm_request(redemption_id, amount, implementation_->schema()));
}

bool client::void_redemption(std::int64_t redemption_id, const std::optional<std::string> &reason,
                             const std::optional<std::int64_t> &amount) {
    return implementation_->answer(
        void_request(redemption_id, amount, reason, implementation_->schema()));
}

redemptions client::redeem_coupons(const user_id &user, const std::vector<std::string> &codes,
                                   const redeem_options &options,
                                   const std::vector<std::optional<std::int64_t>> &amounts) {
    return implementation_->answer(
        redeem_coupons_request(user, codes, amounts, options, implementation_->schema()));
}

claim_answer client::claim(const user_id &user, std::string_view campaign) {
    return implementation_->answer(claim_request(user, campaign, implementation_->schema()));
}

claim_answer client::release_claim(const user_id &user, std::string_view campaign) {
    return implementation_->answer(release_request(user, campaign, implementation_->schema()));
}

availability client::check(const user_id &user, std::string_view code) {
    return implementation_->answer(check_request(user, code, implementation_->schema()));
}

} // namespace coupon_guard
