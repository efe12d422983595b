#include "strategies/shop_tables.hpp"

#include <pqxx/pqxx>

#include <fmt/format.h>

#include "sql_quoting.hpp"

namespace coupon_race {

shop_tables::shop_tables(const std::string &schema_name)
    : schema{coupon_guard::quote_identifier(schema_name)}
    , coupon{schema + ".coupon"}
    , redemption{schema + ".coupon_redemption"} {}

void create_shop_tables(pqxx::transaction_base &transaction, const shop_tables &tables,
                        once_per_user rule, const std::vector<std::string> &codes) {
    transaction.exec(
        fmt::format(R"(
        CREATE SCHEMA {schema};
        CREATE TABLE {coupon} (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            code text NOT NULL UNIQUE
        );
        CREATE TABLE {redemption} (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            coupon_id bigint NOT NULL,
            user_id bigint NOT NULL,
            redeemed_at timestamptz NOT NULL DEFAULT now()
        );
        CREATE {unique} INDEX ON {redemption} (coupon_id, user_id);)",
                    fmt::arg("schema", tables.schema), fmt::arg("coupon", tables.coupon),
                    fmt::arg("redemption", tables.redemption),
                    fmt::arg("unique", rule == once_per_user::unique_index ? "UNIQUE" : "")));
    for (const std::string &code : codes)
        transaction.exec("INSERT INTO " + tables.coupon + " (code) VALUES (" +
                         coupon_guard::quote_literal(code) + ")");
}

std::string shop_ledger_query(const shop_tables &tables) {
    return "SELECT r.id AS redemption_id, r.user_id FROM " + tables.redemption + " r JOIN " +
           tables.coupon + " c ON c.id = r.coupon_id WHERE c.code = $1";
}

} // namespace coupon_race
