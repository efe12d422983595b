/// What a server and a role must have before a race can be run there.
#ifndef COUPON_RACE_PLACE_REQUIREMENTS_HPP
#define COUPON_RACE_PLACE_REQUIREMENTS_HPP

#include <string>
#include <vector>

#include <pqxx/transaction_base>

namespace coupon_race {

/// What the server says of itself and of the role we came as.
struct server_facts {
    int version_number = 0; ///< as server_version_num: 150020
    std::string version;    ///< as server_version: "15.20 (Debian ...)"
    bool in_recovery = false;
    bool fsync = true;
    std::string synchronous_commit;
    std::string role;
    bool superuser = false;
    bool may_create_databases = false;
    bool extension_available = false;
    bool extension_needs_superuser = true; ///< neither trusted nor marked superuser = false
    bool plproxy_available = false;
    bool router_available = false; ///< the extension coupon_guard_router
    int free_connections = 0;      ///< for this role, as far as it can see
};

server_facts read_server_facts(pqxx::transaction_base &transaction);

/// What the run asks for.
struct requirements {
    bool extension = true; ///< a strategy that uses it is among those to be run
    int connections = 0;   ///< at once
    bool router = false;   ///< it is to be one, of a race over shards
};

/// Everything that is missing, one sentence each, with what to do about it. Empty: go ahead.
std::vector<std::string> what_is_missing(const server_facts &facts, const requirements &wanted);

} // namespace coupon_race

#endif
