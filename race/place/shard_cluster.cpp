#include "place/shard_cluster.hpp"

#include <fmt/format.h>
#include <pqxx/pqxx>

#include "os/interruption.hpp"
#include "sql_quoting.hpp"

namespace coupon_race {

namespace {

std::string socket_of(const throwaway_server &server) {
    const conninfo address = server.connection();
    return address.at("host") + "/.s.PGSQL." + address.at("port");
}

void run(const conninfo &where, const std::string &statements) {
    pqxx::connection connection{format_conninfo(where)};
    pqxx::work transaction{connection};
    transaction.exec(statements);
    transaction.commit();
}

std::string name_of(int shard) {
    return "shard" + std::to_string(shard);
}

} // namespace

shard_cluster::shard_cluster(const std::filesystem::path &program_directory, int shards,
                             int max_connections,
                             const std::function<void(const std::string &)> &progress) {
    const signals_blocked none_for_threads;
    progress("starting the router");
    router_ = std::make_unique<throwaway_server>(program_directory, max_connections);
    for (int number = 0; number < shards; ++number) {
        progress(fmt::format("starting shard {} of {}", number + 1, shards));
        shards_.push_back(std::make_unique<throwaway_server>(program_directory, max_connections));
        networks_.push_back(std::make_unique<cutting_proxy>(socket_of(*shards_.back())));
    }
}

void shard_cluster::create_extensions(const std::string &schema) const {
    const std::string quoted = coupon_guard::quote_identifier(schema);
    std::string partitions_of_the_router;
    for (int number = 0; number < size(); ++number)
        run(shard(number),
            fmt::format("CREATE SCHEMA {0}; CREATE EXTENSION coupon_guard SCHEMA {0};"
                        "SELECT {0}.coupon_guard_set_shard({1}, {2})",
                        quoted, coupon_guard::quote_literal(name_of(number)), number));
    for (int partition = 0; partition < partitions(); ++partition) {
        const int number = partition % size();
        conninfo address = shard(number);
        address.erase("host");
        address.erase("port");
        partitions_of_the_router +=
            fmt::format("{}p{} {}", partition > 0 ? ", " : "", partition,
                        coupon_guard::quote_literal(format_conninfo(address) +
                                                    networks_.at(index(number))->conninfo()));
    }
    run(router(),
        fmt::format("CREATE SCHEMA {0}; CREATE EXTENSION plproxy SCHEMA {0};"
                    "CREATE EXTENSION coupon_guard_router SCHEMA {0};"
                    "CREATE SERVER coupon_guard FOREIGN DATA WRAPPER plproxy OPTIONS ({1});"
                    "CREATE USER MAPPING FOR PUBLIC SERVER coupon_guard",
                    quoted, partitions_of_the_router));
}

/// PL/Proxy wants a power of two: where that is more than there are shards, some have two.
int shard_cluster::partitions() const {
    int count = 1;
    while (count < size())
        count *= 2;
    return count;
}

/// By the hash that the router routes by.
std::vector<int> shard_cluster::shards_of_users(std::int64_t first, std::int64_t count) const {
    pqxx::connection connection{format_conninfo(router())};
    pqxx::nontransaction transaction{connection};
    std::vector<int> shards;
    for (const auto &row : transaction.exec(fmt::format(
             "SELECT hashtext(n::text) & {} FROM generate_series({}::bigint, {}) n ORDER BY n",
             partitions() - 1, first, first + count - 1)))
        shards.push_back(row[0].as<int>() % size());
    return shards;
}

} // namespace coupon_race
