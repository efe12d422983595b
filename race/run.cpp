#include "run.hpp"

#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <thread>

#include <pqxx/pqxx>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "exit_status.hpp"
#include "os/interruption.hpp"
#include "place/postgres_programs.hpp"
#include "place/race_database.hpp"
#include "place/requirements.hpp"
#include "place/throwaway_server.hpp"
#include "scenario/bystanders.hpp"
#include "scenario/checkout.hpp"
#include "scenario/double_click.hpp"
#include "scenario/drop.hpp"
#include "strategies/ledger.hpp"

namespace coupon_race {

namespace {

/// Besides the runners': the one that sets up and reads the ledger, and one for good measure.
constexpr int connections_besides = 2;

/// Conflicts are repeated until they are through: what a strategy is judged by is what it does, not
/// when it gives up.
coupon_guard::retry_policy patient_retries() {
    coupon_guard::retry_policy policy;
    policy.max_attempts = 1000;
    policy.base = std::chrono::milliseconds{1};
    policy.cap = std::chrono::milliseconds{50};
    return policy;
}

template <typename Strategy>
std::vector<const Strategy *> chosen_of(const std::vector<std::unique_ptr<Strategy>> &all,
                                        const settings &wanted) {
    std::vector<const Strategy *> chosen;
    for (const std::string &name : wanted.strategies)
        for (const auto &each : all)
            if (each->name() == name)
                chosen.push_back(each.get());
    return chosen;
}

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

server_facts look_at(const conninfo &server) {
    pqxx::connection connection{format_conninfo(server)};
    pqxx::work transaction{connection};
    return read_server_facts(transaction);
}

void check(const server_facts &facts, const requirements &wanted) {
    const std::vector<std::string> missing = what_is_missing(facts, wanted);
    if (missing.empty())
        return;
    std::string text = "the race cannot be run here:";
    for (const std::string &each : missing)
        text += "\n  - " + each;
    throw setup_error{text};
}

template <typename Strategy>
bool any_needs_extension(const std::vector<const Strategy *> &chosen) {
    for (const Strategy *each : chosen)
        if (each->needs_extension())
            return true;
    return false;
}

std::string utc_now() {
    return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

void set_up(const std::string &connection, const strategy &raced) {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    raced.set_up(transaction, {raced_code, warm_up_code});
    transaction.commit();
}

session_settings session_for(const std::string &connection, const race_report &report) {
    session_settings session;
    session.connection = connection;
    session.think = [time = report.think_time] {
        if (time.count() > 0)
            std::this_thread::sleep_for(time);
    };
    session.retry = patient_retries();
    session.seed = report.seed;
    return session;
}

strategy_report race_one(const strategy &raced, const std::string &connection,
                         const race_report &report, progress_line &progress) {
    throw_if_interrupted();
    set_up(connection, raced);
    const double_click scenario{report.clients, report.rounds};
    const race_log log =
        run(scenario, raced, session_for(connection, report), [&](std::int64_t begun) {
            progress.show(fmt::format("{}: round {} of {}", raced.name(), begun, report.rounds));
        });
    return report_on(raced, log, read_ledger(connection, raced, raced_code));
}

void set_up(const std::string &connection, const drop &scenario, const drop_strategy &raced) {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    raced.set_up(transaction, {{raced_code, scenario.cap}, {warm_up_code, scenario.clients}});
    transaction.commit();
}

strategy_report race_one(const drop_strategy &raced, const std::string &connection,
                         const race_report &report, progress_line &progress) {
    throw_if_interrupted();
    const drop &scenario = *report.drop;
    set_up(connection, scenario, raced);
    const drop_result result =
        run(scenario, raced, connection, report.seed, [&](std::int64_t come) {
            progress.show(fmt::format("{}: buyer {} of {}", raced.name(), come, scenario.buyers));
        });
    return report_on(raced, result, read_ledger(connection, raced.ledger_query(), raced_code),
                     scenario.cap, read_figure(connection, raced.broken_invariants_query()));
}

void set_up(const std::string &connection, const checkout &scenario,
            const checkout_strategy &raced) {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    raced.set_up(transaction, {{raced_code, scenario.cap}, {warm_up_code, scenario.clients}});
    transaction.commit();
}

strategy_report race_one(const checkout_strategy &raced, const std::string &connection,
                         const race_report &report, progress_line &progress) {
    throw_if_interrupted();
    const checkout &scenario = *report.checkout;
    set_up(connection, scenario, raced);
    const checkout_log log = run(scenario, raced, connection, report.seed, [&](std::int64_t come) {
        progress.show(fmt::format("{}: buyer {} of {}", raced.name(), come, scenario.buyers));
    });
    return report_on(raced, log, read_ledger(connection, raced.ledger_query(), raced_code),
                     scenario.cap, read_figure(connection, raced.came_back_query()),
                     read_figure(connection, raced.broken_invariants_query()));
}

race_report blank_report(const settings &wanted) {
    race_report report;
    report.scenario = wanted.scenario;
    if (wanted.scenario == drop_name)
        report.drop = wanted.drop;
    if (wanted.scenario == checkout_name)
        report.checkout = wanted.checkout;
    report.clients = wanted.clients;
    report.rounds = wanted.rounds;
    report.think_time = wanted.think_time;
    report.seed = wanted.seed ? *wanted.seed : std::random_device{}();
    report.started_at = utc_now();
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

template <typename Strategy>
race_report race_all(const std::vector<std::unique_ptr<Strategy>> &all, const settings &wanted) {
    const std::vector<const Strategy *> chosen = chosen_of(all, wanted);
    const int besides =
        connections_besides + (wanted.scenario == double_click_name ? 0 : bystanders);
    const requirements needed{any_needs_extension(chosen), wanted.clients + besides};
    race_report report = blank_report(wanted);
    progress_line progress;

    const place where{wanted, needed.connections, progress};
    const server_facts facts = look_at(where.connection());
    check(facts, needed);
    report.server = {facts.version, where.throwaway(), facts.fsync, facts.synchronous_commit};

    const race_database database{where.connection()};
    for (const Strategy *each : chosen)
        report.strategies.push_back(race_one(*each, database.connection(), report, progress));
    progress.show("cleaning up");
    return report;
}

} // namespace

race_report run(const settings &wanted) {
    if (wanted.scenario == drop_name)
        return race_all(drop_strategies(), wanted);
    if (wanted.scenario == checkout_name)
        return race_all(checkout_strategies(), wanted);
    return race_all(strategies(), wanted);
}

} // namespace coupon_race
