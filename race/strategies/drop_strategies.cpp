#include "strategies/drop_strategy.hpp"

#include <stdexcept>

#include <pqxx/pqxx>

#include <coupon_guard/client.hpp>
#include <fmt/format.h>

#include "pqxx_compat.hpp"
#include "sql_quoting.hpp"
#include "strategies/guarded.hpp"

namespace coupon_race {

namespace {

using coupon_guard::compat::exec;

/// Tables of a shop without the extension: the cap and a counter in the coupon's row.
class shop_drop : public drop_strategy {
  public:
    shop_drop(const char *schema, bool foreign_key)
        : schema_{coupon_guard::quote_identifier(schema)}
        , foreign_key_{foreign_key} {}

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<capped_coupon> &coupons) const override {
        transaction.exec(fmt::format(R"(
            CREATE SCHEMA {0};
            CREATE TABLE {0}.coupon (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                code text NOT NULL UNIQUE,
                max bigint NOT NULL,
                used bigint NOT NULL DEFAULT 0
            );
            CREATE TABLE {0}.coupon_redemption (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                coupon_id bigint NOT NULL {1},
                user_id bigint NOT NULL,
                redeemed_at timestamptz NOT NULL DEFAULT now(),
                UNIQUE (coupon_id, user_id)
            );)",
                                     schema_,
                                     foreign_key_ ? "REFERENCES " + schema_ + ".coupon" : ""));
        for (const capped_coupon &coupon : coupons)
            exec(transaction, "INSERT INTO " + schema_ + ".coupon (code, max) VALUES ($1, $2)",
                 {coupon.code, std::to_string(coupon.cap)});
    }
    std::string ledger_query() const override {
        return fmt::format("SELECT r.id AS redemption_id, r.user_id FROM {0}.coupon_redemption r"
                           " JOIN {0}.coupon c ON c.id = r.coupon_id WHERE c.code = $1",
                           schema_);
    }

  protected:
    const std::string &schema() const { return schema_; }

    std::optional<std::int64_t> insert(pqxx::transaction_base &transaction,
                                       const std::string &coupon_id, std::int64_t user) const {
        return exec(transaction,
                    "INSERT INTO " + schema_ +
                        ".coupon_redemption (coupon_id, user_id) VALUES ($1, $2) RETURNING id",
                    {coupon_id, std::to_string(user)})[0][0]
            .as<std::int64_t>();
    }

  private:
    std::string schema_;
    bool foreign_key_;
};

/// Insert the redemption, count it in the coupon's row; as an object-relational mapper's counter
/// cache does.
class counting : public shop_drop {
  public:
    counting(const char *name, const char *method, bool foreign_key)
        : shop_drop{name, foreign_key}
        , name_{name}
        , method_{method} {}
    std::string_view name() const override { return name_; }
    std::string_view method() const override { return method_; }

    std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code, const std::string &) const override {
        const auto coupon =
            exec(transaction, "SELECT id FROM " + schema() + ".coupon WHERE code = $1", {code});
        const auto coupon_id = coupon[0][0].as<std::string>();
        const auto redemption = insert(transaction, coupon_id, user);
        const auto counted =
            exec(transaction,
                 "UPDATE " + schema() +
                     ".coupon SET used = used + 1 WHERE id = $1 AND used < max RETURNING used",
                 {coupon_id});
        if (counted.empty())
            return std::nullopt; // refused: the caller rolls the insert back
        return redemption;
    }
    std::string broken_invariants_query() const override {
        return fmt::format("SELECT count(*) FROM {0}.coupon c WHERE used <>"
                           " (SELECT count(*) FROM {0}.coupon_redemption WHERE coupon_id = c.id)",
                           schema());
    }

  private:
    const char *name_;
    const char *method_;
};

/// Look how many there are, insert: behind a row lock, or under SERIALIZABLE.
class looking : public shop_drop {
  public:
    looking(const char *name, const char *method, bool serializable)
        : shop_drop{name, false}
        , name_{name}
        , method_{method}
        , serializable_{serializable} {}
    std::string_view name() const override { return name_; }
    std::string_view method() const override { return method_; }
    bool serializable() const override { return serializable_; }

    std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code, const std::string &) const override {
        const auto coupon = exec(transaction,
                                 "SELECT id, max FROM " + schema() + ".coupon WHERE code = $1" +
                                     (serializable_ ? "" : " FOR UPDATE"),
                                 {code});
        const auto coupon_id = coupon[0][0].as<std::string>();
        const auto sold =
            exec(transaction,
                 "SELECT count(*) FROM " + schema() + ".coupon_redemption WHERE coupon_id = $1",
                 {coupon_id});
        if (sold[0][0].as<std::int64_t>() >= coupon[0][1].as<std::int64_t>())
            return std::nullopt;
        return insert(transaction, coupon_id, user);
    }
    std::string broken_invariants_query() const override { return "SELECT 0"; }

  private:
    const char *name_;
    const char *method_;
    bool serializable_;
};

class guarded_drop : public drop_strategy {
  public:
    std::string_view name() const override { return "redeem_coupon"; }
    std::string_view method() const override {
        return "redeem_coupon(user, code, request_id); killed ones asked again under the same id";
    }
    bool needs_extension() const override { return true; }
    bool repeatable() const override { return true; }

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<capped_coupon> &coupons) const override {
        set_up_guard(transaction, schema_, coupons);
    }
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     const std::string &request_id) const override {
        coupon_guard::redeem_options options;
        options.request_id = request_id;
        const auto got = coupon_guard::redeem(transaction, user, code, options, name());
        if (got.redeemed())
            return got.redemption_id;
        if (got.status == coupon_guard::status::sold_out)
            return std::nullopt;
        throw coupon_guard::unexpected_answer{"redeem_coupon() answered " +
                                              std::string{to_string(got.status)}};
    }
    std::string ledger_query() const override {
        return fmt::format("SELECT r.id AS redemption_id, r.user_id::bigint AS user_id"
                           " FROM {0}.coupon_redemption r JOIN {0}.coupon c ON c.id = r.coupon_id"
                           " WHERE c.code = $1 AND r.voided_at IS NULL",
                           schema_);
    }
    /// What it checks itself; and, not to take its word for it, quota + rows = cap.
    std::string broken_invariants_query() const override {
        return fmt::format(
            "SELECT (SELECT count(*) FROM {0}.coupon_guard_verify()) + (SELECT count(*)"
            " FROM {0}.coupon c WHERE max_redemptions <>"
            " (SELECT sum(remaining) FROM {0}.coupon_quota WHERE coupon_id = c.id) +"
            " (SELECT count(*) FROM {0}.coupon_redemption"
            "   WHERE coupon_id = c.id AND voided_at IS NULL))",
            schema_);
    }

  private:
    std::string schema_ = coupon_guard::quote_identifier("redeem_coupon");
};

} // namespace

const std::vector<std::unique_ptr<drop_strategy>> &drop_strategies() {
    static const auto all = [] {
        std::vector<std::unique_ptr<drop_strategy>> list;
        list.push_back(std::make_unique<counting>(
            "textbook", "insert (foreign key, unique index), then used = used + 1 WHERE used < max",
            true));
        list.push_back(
            std::make_unique<counting>("counter", "the same without the foreign key", false));
        list.push_back(std::make_unique<looking>(
            "for-update", "lock the coupon's row, count the redemptions, then insert", false));
        list.push_back(std::make_unique<looking>(
            "serializable", "count, then insert, under SERIALIZABLE; again after 40001", true));
        list.push_back(std::make_unique<guarded_drop>());
        return list;
    }();
    return all;
}

} // namespace coupon_race
