/// The tables that a shop without the extension has.
#ifndef COUPON_RACE_STRATEGIES_SHOP_TABLES_HPP
#define COUPON_RACE_STRATEGIES_SHOP_TABLES_HPP

#include <string>
#include <vector>

#include <pqxx/transaction_base>

namespace coupon_race {

/// Names in `schema`, quoted and ready to stand in SQL.
struct shop_tables {
    explicit shop_tables(const std::string &schema_name);

    std::string schema;
    std::string coupon;
    std::string redemption;
};

enum class once_per_user { not_enforced, unique_index };

/// Creates them. No foreign key: it would slow down the strategies that are compared with ours, and
/// changes nothing about the race.
void create_shop_tables(pqxx::transaction_base &transaction, const shop_tables &tables,
                        once_per_user rule, const std::vector<std::string> &codes);

/// The query that strategy::ledger_query() promises.
std::string shop_ledger_query(const shop_tables &tables);

} // namespace coupon_race

#endif
