#include "run.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>

#include <pqxx/pqxx>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "exit_status.hpp"
#include "os/interruption.hpp"
#include "place/race_database.hpp"
#include "place/requirements.hpp"
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

/// A server that is there already, or our own.
class place {
  public:
    place(const settings &wanted, int connections, progress_line &progress) {
        if (wanted.server) {
            connection_ = maintenance_connection(*wanted.server);
            return;
        }
        progress.show("starting a throw-away server");
        forget_libpq_environment();
        own_ = std::make_unique<throwaway_server>(find_postgres_programs(wanted.programs),
                                                  connections + 10);
        connection_ = own_->connection();
    }

    const conninfo &connection() const { return connection_; }
    bool throwaway() const { return own_ != nullptr; }

  private:
    std::unique_ptr<throwaway_server> own_;
    conninfo connection_;
};

} // namespace

race_report run(const settings &wanted) {
    const scenario &raced = *wanted.raced;
    requirements needed{false, wanted.race.clients + connections_besides +
                                   (wanted.race.buyers > 0 ? most_bystanders : 0)};
    int shared_connections = 0;
    std::vector<const strategy *> chosen;
    for (const std::string &name : wanted.strategies) {
        chosen.push_back(raced.strategy_named(name));
        needed.extension = needed.extension || chosen.back()->needs_extension();
        shared_connections = std::max(shared_connections, chosen.back()->shared_connections());
    }
    needed.connections += shared_connections;
    race_report report = blank_report(wanted);
    progress_line progress;

    const place where{wanted, needed.connections, progress};
    const server_facts facts = checked_facts(where.connection(), needed);
    report.server = {facts.version, where.throwaway(), facts.fsync, facts.synchronous_commit};

    for (const strategy *each : chosen) {
        throw_if_interrupted();
        // Each in its own: a database has the extension once, and more than one may need it.
        const race_database database{where.connection()};
        const turn turn{
            *each, report.settings, database.connection(), report.seed,
            [&](const std::string &how_far) { progress.show(each->name() + ": " + how_far); }};
        raced.set_up(turn);
        report.strategies.push_back(report_on(raced, report.settings, *each, raced.run(turn)));
    }
    progress.show("cleaning up");
    return report;
}

} // namespace coupon_race
