#include "run.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <random>

#include <pqxx/pqxx>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "exit_status.hpp"
#include "os/interruption.hpp"
#include "place/race_database.hpp"
#include "place/requirements.hpp"
#include "place/shard_cluster.hpp"
#include "place/throwaway_server.hpp"
#include "scenario/bystander.hpp"

namespace coupon_race {

namespace {

/// Besides the runners': the one that sets up and reads the ledger, and one for good measure.
constexpr int connections_besides = 2;

bool is_set(const char *variable) {
    const char *value = std::getenv(variable);
    return value && *value;
}

/// What the user named, with defaults where neither they nor their environment say anything.
conninfo maintenance_connection(conninfo named) {
    // libpq's own default, a database of the user's name, need not exist; this one nearly always
    // does, and createdb and dropdb take it too. A service may name another.
    const bool elsewhere =
        named.count("service") > 0 || is_set("PGSERVICE") || is_set("PGDATABASE");
    if (!elsewhere)
        named.emplace("dbname", "postgres");
    if (!is_set("PGCONNECT_TIMEOUT"))
        named.emplace("connect_timeout", "10");
    named.emplace("fallback_application_name", "coupon-race");
    return named;
}

/// Throws setup_error for what is missing.
server_facts checked_facts(const conninfo &server, const requirements &wanted) {
    pqxx::connection connection{format_conninfo(server)};
    pqxx::work transaction{connection};
    const server_facts facts = read_server_facts(transaction);
    const std::vector<std::string> missing = what_is_missing(facts, wanted);
    std::string text = "the race cannot be run here:";
    for (const std::string &each : missing)
        text += "\n  - " + each;
    if (!missing.empty())
        throw setup_error{text};
    return facts;
}

race_report blank_report(const settings &wanted) {
    race_report report;
    report.raced = wanted.raced;
    report.settings = wanted.race;
    report.seed = wanted.seed ? *wanted.seed : std::random_device{}();
    report.started_at = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
    return report;
}

/// A server that is there already, or our own, or several of our own.
class place {
  public:
    place(const settings &wanted, int connections, progress_line &progress) {
        if (wanted.server) {
            connection_ = maintenance_connection(*wanted.server);
            return;
        }
        forget_libpq_environment();
        const std::filesystem::path programs = find_postgres_programs(wanted.programs);
        if (wanted.race.shards > 0) {
            shards_ = std::make_unique<shard_cluster>(
                programs, wanted.race.shards, connections + 10,
                [&](const std::string &how_far) { progress.show(how_far); });
            connection_ = shards_->router();
            return;
        }
        progress.show("starting a throw-away server");
        own_ = std::make_unique<throwaway_server>(programs, connections + 10);
        connection_ = own_->connection();
    }

    /// Of the server, or of the router.
    const conninfo &connection() const { return connection_; }
    bool throwaway() const { return own_ || shards_; }
    /// Null if there is one server.
    shard_cluster *shards() const { return shards_.get(); }

  private:
    std::unique_ptr<throwaway_server> own_;
    std::unique_ptr<shard_cluster> shards_;
    conninfo connection_;
};

/// How many connections a server must take at once.
int connections_of(const race_settings &race, const std::vector<const strategy *> &chosen) {
    // A client has one with its shard and, by way of the router, another; as many again may be
    // left over from before the network was cut.
    if (race.shards > 0)
        return 4 * race.clients + connections_besides;
    int shared = 0;
    for (const strategy *each : chosen)
        shared = std::max(shared, each->shared_connections());
    return race.clients + connections_besides + (race.buyers > 0 ? most_bystanders : 0) + shared;
}

} // namespace

race_report run(const settings &wanted) {
    const scenario &raced = *wanted.raced;
    requirements needed{false};
    std::vector<const strategy *> chosen;
    for (const std::string &name : wanted.strategies) {
        chosen.push_back(raced.strategy_named(name));
        needed.extension = needed.extension || chosen.back()->needs_extension();
    }
    needed.router = wanted.race.shards > 0;
    needed.connections = connections_of(wanted.race, chosen);
    race_report report = blank_report(wanted);
    progress_line progress;

    const place where{wanted, needed.connections, progress};
    const server_facts facts = checked_facts(where.connection(), needed);
    report.server = {facts.version, where.throwaway(), facts.fsync, facts.synchronous_commit};

    for (const strategy *each : chosen) {
        throw_if_interrupted();
        // Each in its own: a database has the extension once, and more than one may need it. Over
        // shards there is one strategy, and the servers are its own.
        std::optional<race_database> database;
        if (!where.shards())
            database.emplace(where.connection());
        const turn turn{
            *each,
            report.settings,
            database ? database->connection() : format_conninfo(where.connection()),
            report.seed,
            [&](const std::string &how_far) { progress.show(each->name() + ": " + how_far); },
            where.shards()};
        raced.set_up(turn);
        report.strategies.push_back(report_on(raced, report.settings, *each, raced.run(turn)));
    }
    progress.show("cleaning up");
    return report;
}

} // namespace coupon_race
