#include "strategies/checkout_strategy.hpp"

#include <pqxx/pqxx>

#include <coupon_guard/client.hpp>
#include <fmt/format.h>

#include "pqxx_compat.hpp"
#include "sql_quoting.hpp"
#include "strategies/guarded.hpp"

namespace coupon_race {

namespace {

using coupon_guard::compat::exec;

/// A reservation with a deadline, a counter in the coupon's row, and a job that counts back what
/// has expired.
class reservation : public checkout_strategy {
  public:
    std::string_view name() const override { return "textbook"; }
    std::string_view method() const override {
        return "a reservation, used = used + 1 WHERE used < max; a sweeper counts expired ones "
               "back";
    }

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<capped_coupon> &coupons) const override {
        transaction.exec(R"(
            CREATE SCHEMA textbook;
            CREATE TABLE textbook.coupon (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                code text NOT NULL UNIQUE,
                max bigint NOT NULL,
                used bigint NOT NULL DEFAULT 0
            );
            CREATE TABLE textbook.reservation (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                coupon_id bigint NOT NULL REFERENCES textbook.coupon,
                user_id bigint NOT NULL,
                expires_at timestamptz NOT NULL,
                confirmed_at timestamptz,
                swept_at timestamptz
            );
            CREATE UNIQUE INDEX ON textbook.reservation (coupon_id, user_id)
                WHERE swept_at IS NULL;
            CREATE INDEX ON textbook.reservation (expires_at)
                WHERE confirmed_at IS NULL AND swept_at IS NULL;)");
        for (const capped_coupon &coupon : coupons)
            exec(transaction, "INSERT INTO textbook.coupon (code, max) VALUES ($1, $2)",
                 {coupon.code, std::to_string(coupon.cap)});
    }
    std::optional<std::int64_t> hold(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     std::chrono::microseconds ttl) const override {
        const auto coupon =
            exec(transaction, "SELECT id FROM textbook.coupon WHERE code = $1", {code});
        const auto coupon_id = coupon[0][0].as<std::string>();
        const auto reserved =
            exec(transaction,
                 "INSERT INTO textbook.reservation (coupon_id, user_id, expires_at)"
                 " VALUES ($1, $2, clock_timestamp() + $3::interval) RETURNING id",
                 {coupon_id, std::to_string(user), std::to_string(ttl.count()) + " microseconds"});
        const auto counted = exec(transaction,
                                  "UPDATE textbook.coupon SET used = used + 1"
                                  " WHERE id = $1 AND used < max RETURNING used",
                                  {coupon_id});
        if (counted.empty())
            return std::nullopt; // refused: the caller rolls the reservation back
        return reserved[0][0].as<std::int64_t>();
    }
    bool confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const override {
        return !exec(transaction,
                     "UPDATE textbook.reservation SET confirmed_at = clock_timestamp()"
                     " WHERE id = $1 AND confirmed_at IS NULL AND swept_at IS NULL"
                     " AND expires_at > clock_timestamp() RETURNING id",
                     {std::to_string(redemption_id)})
                    .empty();
    }
    std::string sweep() const override {
        return "WITH swept AS (UPDATE textbook.reservation SET swept_at = clock_timestamp()"
               " WHERE confirmed_at IS NULL AND swept_at IS NULL"
               " AND expires_at <= clock_timestamp() RETURNING coupon_id)"
               " UPDATE textbook.coupon c SET used = used - s.units FROM"
               " (SELECT coupon_id, count(*) AS units FROM swept GROUP BY coupon_id) s"
               " WHERE c.id = s.coupon_id";
    }
    std::string ledger_query() const override {
        return "SELECT r.id AS redemption_id, r.user_id FROM textbook.reservation r"
               " JOIN textbook.coupon c ON c.id = r.coupon_id"
               " WHERE c.code = $1 AND r.confirmed_at IS NOT NULL";
    }
    std::string came_back_query() const override {
        return "SELECT count(*) FROM textbook.reservation WHERE swept_at IS NOT NULL";
    }
    std::string broken_invariants_query() const override {
        return "SELECT count(*) FROM textbook.coupon c WHERE used <> (SELECT count(*)"
               " FROM textbook.reservation WHERE coupon_id = c.id AND swept_at IS NULL)";
    }
};

class guarded_checkout : public checkout_strategy {
  public:
    std::string_view name() const override { return "redeem_coupon"; }
    std::string_view method() const override {
        return "hold_coupon(user, code, ttl), then confirm_hold(id); nothing to sweep";
    }
    bool needs_extension() const override { return true; }

    void set_up(pqxx::transaction_base &transaction,
                const std::vector<capped_coupon> &coupons) const override {
        set_up_guard(transaction, schema_, coupons);
    }
    std::optional<std::int64_t> hold(pqxx::transaction_base &transaction, std::int64_t user,
                                     const std::string &code,
                                     std::chrono::microseconds ttl) const override {
        coupon_guard::hold_options options;
        options.ttl = ttl;
        const auto got = coupon_guard::hold(transaction, user, code, options, name());
        if (got.held())
            return got.redemption_id;
        if (got.status == coupon_guard::status::sold_out)
            return std::nullopt;
        throw coupon_guard::unexpected_answer{"hold_coupon() answered " +
                                              std::string{to_string(got.status)}};
    }
    bool confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const override {
        return coupon_guard::confirm(transaction, redemption_id, name()).redeemed();
    }
    std::string ledger_query() const override {
        return fmt::format("SELECT r.id AS redemption_id, r.user_id::bigint AS user_id"
                           " FROM {0}.coupon_redemption r JOIN {0}.coupon c ON c.id = r.coupon_id"
                           " WHERE c.code = $1 AND r.voided_at IS NULL"
                           " AND r.hold_expires_at IS NULL",
                           schema_);
    }
    std::string came_back_query() const override {
        return "SELECT count(*) FROM " + schema_ +
               ".coupon_redemption WHERE void_reason = 'hold expired'";
    }
    std::string broken_invariants_query() const override {
        return "SELECT count(*) FROM " + schema_ + ".coupon_guard_verify()";
    }

  private:
    std::string schema_ = coupon_guard::quote_identifier("redeem_coupon");
};

} // namespace

const std::vector<std::unique_ptr<checkout_strategy>> &checkout_strategies() {
    static const auto all = [] {
        std::vector<std::unique_ptr<checkout_strategy>> list;
        list.push_back(std::make_unique<reservation>());
        list.push_back(std::make_unique<guarded_checkout>());
        return list;
    }();
    return all;
}

} // namespace coupon_race
