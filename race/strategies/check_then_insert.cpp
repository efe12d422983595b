#include "strategies/check_then_insert.hpp"

#include <pqxx/pqxx>

#include "error_translation.hpp"
#include "pqxx_compat.hpp"
#include "retry_loop.hpp"
#include "strategies/shop_tables.hpp"
#include "strategies/worker_connection.hpp"

namespace coupon_race {

namespace {

/// What makes one of the three.
struct variant {
    const char *name;
    const char *method;
    bool promises_once_per_user;
    bool serializable;
    const char *coupon_lock;
};

constexpr variant naive{"naive", "look, then insert, under READ COMMITTED", false, false, ""};
constexpr variant serializable{
    "serializable", "look, then insert, under SERIALIZABLE; again after 40001", true, true, ""};
constexpr variant for_update{"for-update", "lock the coupon's row, look, then insert", true, false,
                             " FOR UPDATE"};

class check_then_insert_session : public session {
  public:
    check_then_insert_session(const variant &kind, const shop_tables &tables,
                              const session_settings &settings)
        : kind_{kind}
        , think_{settings.think}
        , connection_{settings.connection}
        , pauses_{settings.retry, settings.seed}
        , find_coupon_{"SELECT id FROM " + tables.coupon + " WHERE code = $1" + kind.coupon_lock}
        , find_redemption_{"SELECT id FROM " + tables.redemption +
                           " WHERE coupon_id = $1 AND user_id = $2"}
        , insert_redemption_{"INSERT INTO " + tables.redemption +
                             " (coupon_id, user_id) VALUES ($1, $2) RETURNING id"} {}

    attempt redeem(std::int64_t user, const std::string &code) override {
        return as_attempt([&] {
            int retries = 0;
            attempt result = coupon_guard::retry_conflicts(
                pauses_, retries, [&] { return redeem_once(std::to_string(user), code); });
            result.retries = retries;
            return result;
        });
    }

  private:
    attempt redeem_once(const std::string &user, const std::string &code) {
        pqxx::connection &connection = connection_.get();
        // Lost before COMMIT is sent, the transaction is rolled back; at COMMIT libpqxx says so.
        return coupon_guard::translating(connection, coupon_guard::if_lost::nothing_happened, [&] {
            pqxx::work transaction{connection};
            if (kind_.serializable)
                transaction.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
            attempt result = look_then_insert(transaction, user, code);
            transaction.commit();
            return result;
        });
    }

    attempt look_then_insert(pqxx::transaction_base &transaction, const std::string &user,
                             const std::string &code) {
        using coupon_guard::compat::exec;
        attempt result;
        result.answer = answer::refused;
        const pqxx::result coupon = exec(transaction, find_coupon_, {code});
        if (coupon.empty())
            return result;
        const auto coupon_id = coupon[0][0].as<std::string>();
        if (!exec(transaction, find_redemption_, {coupon_id, user}).empty())
            return result;
        think_();
        const pqxx::result inserted = exec(transaction, insert_redemption_, {coupon_id, user});
        result.answer = answer::redeemed;
        result.redemption_id = inserted[0][0].as<std::int64_t>();
        return result;
    }

    const variant &kind_;
    std::function<void()> think_;
    worker_connection connection_;
    coupon_guard::backoff pauses_;
    std::string find_coupon_;
    std::string find_redemption_;
    std::string insert_redemption_;
};

class check_then_insert : public strategy {
  public:
    explicit check_then_insert(const variant &kind)
        : kind_{kind}
        , tables_{kind.name} {}

    std::string_view name() const override { return kind_.name; }
    std::string_view method() const override { return kind_.method; }
    bool promises_once_per_user() const override { return kind_.promises_once_per_user; }
    bool needs_extension() const override { return false; }

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<std::string> &codes) const override {
        create_shop_tables(transaction, tables_, once_per_user::not_enforced, codes);
    }
    std::unique_ptr<session> open(const session_settings &settings) const override {
        return std::make_unique<check_then_insert_session>(kind_, tables_, settings);
    }
    std::string ledger_query() const override { return shop_ledger_query(tables_); }

  private:
    const variant &kind_;
    shop_tables tables_;
};

} // namespace

std::unique_ptr<strategy> make_naive() {
    return std::make_unique<check_then_insert>(naive);
}
std::unique_ptr<strategy> make_serializable() {
    return std::make_unique<check_then_insert>(serializable);
}
std::unique_ptr<strategy> make_for_update() {
    return std::make_unique<check_then_insert>(for_update);
}

} // namespace coupon_race
