#include "strategies/ledger.hpp"

#include <pqxx/pqxx>

#include "pqxx_compat.hpp"

namespace coupon_race {

std::vector<ledger_row> read_ledger(const std::string &connection, const std::string &query,
                                    const std::string &code) {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    const pqxx::result rows = coupon_guard::compat::exec(transaction, query, {code});
    std::vector<ledger_row> ledger;
    ledger.reserve(static_cast<std::size_t>(rows.size()));
    for (const auto &row : rows)
        ledger.push_back(
            {row["redemption_id"].as<std::int64_t>(), row["user_id"].as<std::int64_t>()});
    return ledger;
}

std::vector<ledger_row> read_ledger(const std::string &connection, const strategy &raced,
                                    const std::string &code) {
    return read_ledger(connection, raced.ledger_query(), code);
}

std::int64_t read_figure(const std::string &connection, const std::string &query) {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    return transaction.exec(query)[0][0].as<std::int64_t>();
}

} // namespace coupon_race
