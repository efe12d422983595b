#include "strategies/unique_index.hpp"

#include <pqxx/pqxx>

#include "error_translation.hpp"
#include "pqxx_compat.hpp"
#include "strategies/shop_tables.hpp"
#include "strategies/worker_connection.hpp"

namespace coupon_race {

namespace {

class unique_index_session : public session {
  public:
    unique_index_session(const shop_tables &tables, const session_settings &settings)
        : connection_{settings.connection}
        , insert_{"INSERT INTO " + tables.redemption + " (coupon_id, user_id) SELECT id, $1 FROM " +
                  tables.coupon + " WHERE code = $2 RETURNING id"} {}

    attempt redeem(std::int64_t user, const std::string &code) override {
        return as_attempt([&] { return insert(std::to_string(user), code); });
    }

  private:
    attempt insert(const std::string &user, const std::string &code) {
        attempt result;
        result.answer = answer::refused;
        try {
            const pqxx::result inserted = insert_alone({user, code});
            if (inserted.empty())
                return result;
            result.answer = answer::redeemed;
            result.redemption_id = inserted[0][0].as<std::int64_t>();
        } catch (const coupon_guard::sql_error &caught) {
            if (caught.sqlstate() != "23505")
                throw;
        }
        return result;
    }

    /// One statement that commits by itself.
    pqxx::result insert_alone(const std::vector<std::string> &parameters) {
        pqxx::connection &connection = connection_.get();
        return coupon_guard::translating(connection, coupon_guard::if_lost::outcome_unknown, [&] {
            pqxx::nontransaction transaction{connection};
            return coupon_guard::compat::exec(transaction, insert_, parameters);
        });
    }

    worker_connection connection_;
    std::string insert_;
};

class unique_index : public strategy {
  public:
    std::string_view name() const override { return "unique"; }
    std::string_view method() const override {
        return "insert at once; a unique index answers 23505 to the second";
    }
    bool promises_once_per_user() const override { return true; }
    bool needs_extension() const override { return false; }

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<std::string> &codes) const override {
        create_shop_tables(transaction, tables_, once_per_user::unique_index, codes);
    }
    std::unique_ptr<session> open(const session_settings &settings) const override {
        return std::make_unique<unique_index_session>(tables_, settings);
    }
    std::string ledger_query() const override { return shop_ledger_query(tables_); }

  private:
    shop_tables tables_{"unique"};
};

} // namespace

std::unique_ptr<strategy> make_unique_index() {
    return std::make_unique<unique_index>();
}

} // namespace coupon_race
