#include "place/requirements.hpp"

#include <pqxx/pqxx>

#include <fmt/format.h>

namespace coupon_race {

namespace {

constexpr int oldest_version = 150000;

constexpr char facts_query[] = R"(
SELECT current_setting('server_version_num')::int AS version_number,
       current_setting('server_version') AS version,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       current_setting('fsync')::bool AS fsync,
       current_setting('synchronous_commit') AS synchronous_commit,
       r.rolname::text AS role,
       r.rolsuper AS superuser,
       r.rolsuper OR r.rolcreatedb AS may_create_databases,
       e.version IS NOT NULL AS extension_available,
       coalesce(e.superuser AND NOT e.trusted, true) AS extension_needs_superuser,
       'plproxy' IN (SELECT name FROM pg_catalog.pg_available_extensions) AS plproxy_available,
       'coupon_guard_router' IN (SELECT name FROM pg_catalog.pg_available_extensions)
           AS router_available,
       least(
           current_setting('max_connections')::bigint
               - CASE WHEN r.rolsuper THEN 0
                      ELSE current_setting('superuser_reserved_connections')::bigint END
               - (SELECT sum(d.numbackends) FROM pg_catalog.pg_stat_database d),
           CASE WHEN r.rolconnlimit >= 0 AND NOT r.rolsuper
                THEN r.rolconnlimit
                     - (SELECT count(*) FROM pg_catalog.pg_stat_activity a
                         WHERE a.usename = r.rolname)
                ELSE 1000000 END)::int AS free_connections
  FROM pg_catalog.pg_roles r
  LEFT JOIN LATERAL (
       SELECT v.version, v.superuser, v.trusted
         FROM pg_catalog.pg_available_extensions x
         JOIN pg_catalog.pg_available_extension_versions v
           ON v.name = x.name AND v.version = x.default_version
        WHERE x.name = 'coupon_guard') e ON true
 WHERE r.rolname = current_user)";

} // namespace

server_facts read_server_facts(pqxx::transaction_base &transaction) {
    const pqxx::result rows = transaction.exec(facts_query);
    const auto row = rows[0];
    server_facts facts;
    facts.version_number = row["version_number"].as<int>();
    facts.version = row["version"].as<std::string>();
    facts.in_recovery = row["in_recovery"].as<bool>();
    facts.fsync = row["fsync"].as<bool>();
    facts.synchronous_commit = row["synchronous_commit"].as<std::string>();
    facts.role = row["role"].as<std::string>();
    facts.superuser = row["superuser"].as<bool>();
    facts.may_create_databases = row["may_create_databases"].as<bool>();
    facts.extension_available = row["extension_available"].as<bool>();
    facts.extension_needs_superuser = row["extension_needs_superuser"].as<bool>();
    facts.plproxy_available = row["plproxy_available"].as<bool>();
    facts.router_available = row["router_available"].as<bool>();
    facts.free_connections = row["free_connections"].as<int>();
    return facts;
}

std::vector<std::string> what_is_missing(const server_facts &facts, const requirements &wanted) {
    std::vector<std::string> missing;
    if (facts.version_number < oldest_version)
        missing.push_back(
            fmt::format("the server is PostgreSQL {}; 15 or later is needed", facts.version));
    if (facts.in_recovery)
        missing.push_back(
            "the server is a standby, where nothing can be redeemed; name its primary");
    if (!facts.may_create_databases)
        missing.push_back(fmt::format(
            "the role \"{0}\" may not create a database: ALTER ROLE \"{0}\" CREATEDB", facts.role));
    if (wanted.extension && !facts.extension_available)
        missing.push_back(
            "the extension coupon_guard is not installed on this server: make install "
            "PG_CONFIG=... there, or leave out the strategies that use it");
    if (wanted.extension && facts.extension_available && facts.extension_needs_superuser &&
        !facts.superuser)
        missing.push_back(
            fmt::format("only a superuser may create the extension coupon_guard here, "
                        "and the role \"{}\" is none",
                        facts.role));
    if (wanted.router && !facts.plproxy_available)
        missing.push_back("PL/Proxy is not installed for this server (Debian: "
                          "postgresql-VERSION-plproxy); a race over shards needs it");
    if (wanted.router && !facts.router_available)
        missing.push_back("the extension coupon_guard_router is not installed on this server: make "
                          "install PG_CONFIG=... there");
    if (facts.free_connections < wanted.connections)
        missing.push_back(fmt::format("{} connections are needed at once, and {} are free: lower "
                                      "--clients, or raise max_connections",
                                      wanted.connections, facts.free_connections));
    return missing;
}

} // namespace coupon_race
