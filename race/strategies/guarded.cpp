#include "strategies/guarded.hpp"

#include <pqxx/pqxx>

#include <coupon_guard/client.hpp>

#include "pqxx_compat.hpp"
#include "sql_quoting.hpp"
#include "strategies/worker_connection.hpp"

namespace coupon_race {

namespace {

constexpr char schema_name[] = "redeem_coupon";

class guarded_session : public session {
  public:
    explicit guarded_session(const session_settings &settings)
        : connection_{settings.connection}
        , settings_{settings} {}

    attempt redeem(std::int64_t user, const std::string &code) override {
        return as_attempt([&] {
            const coupon_guard::redemption got = client().redeem(user, code);
            attempt result;
            result.answer = got.redeemed() ? answer::redeemed : answer::refused;
            if (got.redeemed())
                result.redemption_id = got.redemption_id;
            result.retries = got.retries;
            return result;
        });
    }

  private:
    /// The client borrows the worker's connection, and is made anew with it.
    coupon_guard::client &client() {
        pqxx::connection &connection = connection_.get();
        if (!client_ || lent_ != &connection) {
            coupon_guard::client_options options;
            options.schema = schema_name;
            options.retry = settings_.retry;
            options.jitter_seed = settings_.seed;
            client_.emplace(connection, options);
            lent_ = &connection;
        }
        return *client_;
    }

    worker_connection connection_;
    session_settings settings_;
    std::optional<coupon_guard::client> client_;
    const pqxx::connection *lent_ = nullptr;
};

class guarded : public strategy {
  public:
    std::string_view name() const override { return "redeem_coupon"; }
    std::string_view method() const override {
        return "SELECT redeem_coupon(user, code): the extension coupon_guard";
    }
    bool promises_once_per_user() const override { return true; }
    bool needs_extension() const override { return true; }

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<std::string> &codes) const override {
        transaction.exec("CREATE SCHEMA " + schema_);
        transaction.exec("CREATE EXTENSION coupon_guard SCHEMA " + schema_);
        for (const std::string &code : codes)
            transaction.exec("INSERT INTO " + schema_ + ".coupon (code) VALUES (" +
                             coupon_guard::quote_literal(code) + ")");
    }
    std::unique_ptr<session> open(const session_settings &settings) const override {
        return std::make_unique<guarded_session>(settings);
    }
    std::string ledger_query() const override {
        return "SELECT r.id AS redemption_id, r.user_id::bigint AS user_id FROM " + schema_ +
               ".coupon_redemption r JOIN " + schema_ +
               ".coupon c ON c.id = r.coupon_id WHERE c.code = $1";
    }

  private:
    std::string schema_ = coupon_guard::quote_identifier(schema_name);
};

} // namespace

std::unique_ptr<strategy> make_guarded() {
    return std::make_unique<guarded>();
}

void set_up_guard(pqxx::transaction_base &transaction, const std::string &schema,
                  const std::vector<capped_coupon> &coupons) {
    transaction.exec("CREATE SCHEMA " + schema);
    transaction.exec("CREATE EXTENSION coupon_guard SCHEMA " + schema);
    for (const capped_coupon &coupon : coupons)
        coupon_guard::compat::exec(transaction,
                                   "INSERT INTO " + schema +
                                       ".coupon (code, max_redemptions) VALUES ($1, $2)",
                                   {coupon.code, std::to_string(coupon.cap)});
}

} // namespace coupon_race
