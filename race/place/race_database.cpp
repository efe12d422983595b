#include "place/race_database.hpp"

#include <random>

#include <pqxx/pqxx>

#include <fmt/format.h>

#include "sql_quoting.hpp"

namespace coupon_race {

namespace {

std::string unique_name() {
    std::random_device entropy;
    return fmt::format("coupon_race_{:08x}{:08x}", entropy(), entropy());
}

void run_alone(const conninfo &where, const std::string &statement) {
    pqxx::connection connection{format_conninfo(where)};
    pqxx::nontransaction transaction{connection};
    transaction.exec(statement);
}

} // namespace

race_database::race_database(conninfo maintenance)
    : maintenance_{std::move(maintenance)}
    , name_{unique_name()} {
    // template0: what the site put into template1, the extension perhaps, must not come along.
    run_alone(maintenance_, "CREATE DATABASE " + coupon_guard::quote_identifier(name_) +
                                " TEMPLATE template0 ENCODING 'UTF8'");
}

race_database::~race_database() {
    const std::string drop =
        "DROP DATABASE IF EXISTS " + coupon_guard::quote_identifier(name_) + " WITH (FORCE)";
    try {
        run_alone(maintenance_, drop);
    } catch (const std::exception &failure) {
        fmt::print(stderr, "coupon-race: the database {} is left behind: {}\nDrop it with: {}\n",
                   name_, failure.what(), drop);
    }
}

std::string race_database::connection() const {
    return format_conninfo(with_database(maintenance_, name_));
}

} // namespace coupon_race
