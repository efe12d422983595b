#include "arguments.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h> // fmt::join, since fmt 11

#include "judge/verdict.hpp"
#include "strategies/checkout_strategy.hpp"
#include "strategies/drop_strategy.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

namespace {

constexpr int most_clients = 1000;
constexpr std::int64_t most_rounds = 10'000'000;
constexpr std::int64_t most_buyers = 10'000'000;
constexpr double most_think_time_ms = 60'000;

/// What the options say before it is made into settings.
struct raw_arguments {
    std::string connection;
    std::map<std::string, std::string> connection_options; ///< by libpq keyword
    double think_time_ms = 0;
    double hold_time_ms = 2;
    double ttl_ms = 200;
    std::optional<std::int64_t> buyers;
    std::optional<std::int64_t> cap;
    std::string colour = "auto";
};

std::string footer() {
    std::string text = "Strategies of double-click:\n";
    for (const auto &each : strategies())
        text += fmt::format("  {:<16}{}\n", each->name(), each->method());
    text += "\nStrategies of drop:\n";
    for (const auto &each : drop_strategies())
        text += fmt::format("  {:<16}{}\n", each->name(), each->method());
    text += "\nStrategies of checkout:\n";
    for (const auto &each : checkout_strategies())
        text += fmt::format("  {:<16}{}\n", each->name(), each->method());
    return text + R"(
Without a CONNECTION, -h, -p, -U or -d the race is run on a throw-away PostgreSQL server, started for
it and removed after it. With any of them it is run on that server, in a database of its own, which
is created and dropped; PG* environment variables and service files then apply as in psql.

Exit status: 0 all as expected (naive may fail, or be lucky), 1 a strategy broke its promise, 2 could
not tell, 254 bad arguments, 128 + n after signal n.)";
}

template <typename Strategies>
std::vector<std::string> names_of(const Strategies &list) {
    std::vector<std::string> names;
    for (const auto &each : list)
        names.emplace_back(each->name());
    return names;
}

std::vector<std::string> strategy_names(const std::string &scenario) {
    if (scenario == drop_name)
        return names_of(drop_strategies());
    return scenario == checkout_name ? names_of(checkout_strategies()) : names_of(strategies());
}

/// Checks a value without telling the check in the help, where the words say it.
CLI::Validator quietly(CLI::Validator check) {
    return check.description("");
}

void add_race_options(CLI::App &app, settings &wanted, raw_arguments &raw) {
    app.add_option("--scenario", wanted.scenario,
                   "double-click: one user, the same request several times at once;\n"
                   "drop: a capped coupon, more buyers than units;\n"
                   "checkout: units are held, then confirmed or abandoned")
        ->type_name("NAME")
        ->check(quietly(CLI::IsMember({double_click_name, drop_name, checkout_name})))
        ->capture_default_str();
    app.add_option(
           "-c,--clients", wanted.clients,
           "requests at once, each on its own connection (2 to 1000) [2; drop, checkout: 32]")
        ->type_name("N")
        ->check(quietly(CLI::Range(2, most_clients)));
    app.add_option("-r,--rounds", wanted.rounds,
                   "double-click: how often; each round is a user of its own")
        ->type_name("N")
        ->check(quietly(CLI::Range(std::int64_t{1}, most_rounds)))
        ->capture_default_str();
    app.add_option("-s,--strategies", wanted.strategies,
                   "which to race, in this order, with commas in between [all]")
        ->type_name("NAMES")
        ->delimiter(',')
        ->allow_extra_args(false); // or it would swallow the CONNECTION behind it
    app.add_option(
           "-t,--think-time", raw.think_time_ms,
           "double-click: how long a strategy that looks before it writes (naive, serializable,"
           " for-update) pauses in between [0]; checkout: from the hold to its confirmation [20]")
        ->type_name("MS")
        ->check(quietly(CLI::Range(0.0, most_think_time_ms)));
    app.add_option("--seed", wanted.seed,
                   "of the pauses between retries, and of who rolls back or is killed [a new one]")
        ->type_name("N");
}

void add_drop_options(CLI::App &app, settings &wanted, raw_arguments &raw) {
    app.add_option("--buyers", raw.buyers, "drop, checkout: how many come [2000; checkout: 1000]")
        ->type_name("N")
        ->check(quietly(CLI::Range(std::int64_t{1}, most_buyers)));
    app.add_option("--cap", raw.cap,
                   "drop, checkout: how many units there are [500; checkout: 200]")
        ->type_name("N")
        ->check(quietly(CLI::Range(std::int64_t{1}, most_buyers)));
    app.add_option("--hold-time", raw.hold_time_ms,
                   "drop: from the redemption to the end of its transaction")
        ->type_name("MS")
        ->check(quietly(CLI::Range(0.0, most_think_time_ms)))
        ->capture_default_str();
    app.add_option("--rollback-rate", wanted.drop.rollback_rate,
                   "drop: the share of redemptions that are rolled back")
        ->type_name("RATE")
        ->check(quietly(CLI::Range(0.0, 1.0)))
        ->capture_default_str();
    app.add_option("--kill-rate", wanted.drop.kill_rate,
                   "drop: the share whose connection is killed, before COMMIT or while it is sent")
        ->type_name("RATE")
        ->check(quietly(CLI::Range(0.0, 1.0)))
        ->capture_default_str();
}

void add_checkout_options(CLI::App &app, settings &wanted, raw_arguments &raw) {
    app.add_option("--walk-away-rate", wanted.checkout.walk_away_rate,
                   "checkout: the share of holds that are abandoned")
        ->type_name("RATE")
        ->check(quietly(CLI::Range(0.0, 1.0)))
        ->capture_default_str();
    app.add_option("--ttl", raw.ttl_ms, "checkout: how long a unit is held")
        ->type_name("MS")
        ->check(quietly(CLI::Range(1.0, most_think_time_ms)))
        ->capture_default_str();
}

/// Which scenarios an option is for; those that are not here are for all.
const std::vector<std::pair<std::string, std::vector<std::string>>> options_of_scenarios{
    {"--rounds", {double_click_name}},
    {"--think-time", {double_click_name, checkout_name}},
    {"--buyers", {drop_name, checkout_name}},
    {"--cap", {drop_name, checkout_name}},
    {"--hold-time", {drop_name}},
    {"--rollback-rate", {drop_name}},
    {"--kill-rate", {drop_name}},
    {"--walk-away-rate", {checkout_name}},
    {"--ttl", {checkout_name}},
};

void refuse_options_of_other_scenarios(const CLI::App &app, const std::string &scenario) {
    for (const auto &[option, scenarios] : options_of_scenarios)
        if (app.count(option) > 0 &&
            std::find(scenarios.begin(), scenarios.end(), scenario) == scenarios.end())
            throw CLI::ValidationError(
                fmt::format("{} is not for the scenario {}", option, scenario));
}

void settle_strategies(settings &wanted) {
    const std::vector<std::string> known = strategy_names(wanted.scenario);
    if (wanted.strategies.empty())
        wanted.strategies = known;
    for (const std::string &name : wanted.strategies)
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw CLI::ValidationError(fmt::format("--strategies: {} has no strategy {}; it has {}",
                                                   wanted.scenario, name, fmt::join(known, ", ")));
    std::vector<std::string> sorted = wanted.strategies;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        throw CLI::ValidationError("--strategies names one twice");
}

std::chrono::microseconds from_milliseconds(double value) {
    return std::chrono::microseconds{std::llround(value * 1000)};
}

/// What drop and checkout have in common; `own` has the defaults.
template <typename Scenario>
void settle_buyers(const CLI::App &app, const raw_arguments &raw, settings &wanted, Scenario &own) {
    own.buyers = raw.buyers.value_or(own.buyers);
    own.cap = raw.cap.value_or(own.cap);
    if (app.count("--clients") > 0)
        own.clients = wanted.clients;
    else
        wanted.clients = own.clients;
}

void settle_drop(const CLI::App &app, const raw_arguments &raw, settings &wanted) {
    if (wanted.drop.rollback_rate + wanted.drop.kill_rate > 1)
        throw CLI::ValidationError("--rollback-rate and --kill-rate are more than 1 together");
    wanted.drop.hold_time = from_milliseconds(raw.hold_time_ms);
    settle_buyers(app, raw, wanted, wanted.drop);
}

void settle_checkout(const CLI::App &app, const raw_arguments &raw, settings &wanted) {
    if (app.count("--think-time") > 0)
        wanted.checkout.think_time = wanted.think_time;
    wanted.checkout.ttl = from_milliseconds(raw.ttl_ms);
    settle_buyers(app, raw, wanted, wanted.checkout);
}

void add_output_options(CLI::App &app, settings &wanted, raw_arguments &raw) {
    app.add_option("--json", wanted.json_file, "write the result there too; - for stdout")
        ->type_name("FILE");
    app.add_option("--html", wanted.html_file,
                   "write a page for a browser there: who got what when, and latencies; - for\n"
                   "stdout")
        ->type_name("FILE");
    app.add_option("--color", raw.colour, "auto, always or never")
        ->type_name("WHEN")
        ->check(quietly(CLI::IsMember({"auto", "always", "never"})))
        ->capture_default_str();
}

void add_connection_options(CLI::App &app, settings &wanted, raw_arguments &raw) {
    const auto keyword = [&](const char *names, const char *name, const char *value_name,
                             const char *help) {
        return app
            .add_option_function<std::string>(
                names,
                [&raw, name](const std::string &value) { raw.connection_options[name] = value; },
                help)
            ->type_name(value_name);
    };
    app.add_option("CONNECTION", raw.connection, "a conninfo string or a postgresql:// URI")
        ->type_name("");
    keyword("-h,--host", "host", "HOST", "host or socket directory");
    keyword("-p,--port", "port", "PORT", "port")->check(quietly(CLI::Range(1, 65535)));
    keyword("-U,--username", "user", "ROLE", "role; it needs CREATEDB");
    keyword("-d,--dbname", "dbname", "NAME", "database to connect to first [postgres]");
    app.add_option("--pg-bin", wanted.programs,
                   "directory of initdb and postgres for the throw-away server")
        ->type_name("DIR");
}

/// Nothing if no option names a server.
std::optional<conninfo> server_from(const CLI::App &app, const raw_arguments &raw) {
    if (app.count("CONNECTION") == 0 && raw.connection_options.empty())
        return std::nullopt;
    conninfo server;
    if (app.count("CONNECTION") > 0) {
        const bool uri = raw.connection.find("://") != std::string::npos;
        if (!uri && raw.connection.find('=') == std::string::npos)
            throw CLI::ValidationError(fmt::format(
                "\"{}\" is neither \"keyword=value ...\" nor a postgresql:// URI", raw.connection));
        try {
            server = parse_conninfo(raw.connection);
        } catch (const std::invalid_argument &reason) {
            throw CLI::ValidationError(reason.what());
        }
    }
    for (const auto &[keyword, value] : raw.connection_options)
        server[keyword] = value;
    return server;
}

void settle(const CLI::App &app, const raw_arguments &raw, settings &wanted) {
    wanted.server = server_from(app, raw);
    if (wanted.server && !wanted.programs.empty())
        throw CLI::ValidationError("--pg-bin is for a throw-away server, and a server is named");
    if (!wanted.json_file.empty() && wanted.json_file == wanted.html_file)
        throw CLI::ValidationError("--json and --html name the same file");
    refuse_options_of_other_scenarios(app, wanted.scenario);
    wanted.think_time = from_milliseconds(raw.think_time_ms);
    if (wanted.scenario == drop_name)
        settle_drop(app, raw, wanted);
    if (wanted.scenario == checkout_name)
        settle_checkout(app, raw, wanted);
    settle_strategies(wanted);
    const std::map<std::string, colour_choice> choices{{"auto", colour_choice::automatic},
                                                       {"always", colour_choice::always},
                                                       {"never", colour_choice::never}};
    wanted.colour = choices.at(raw.colour);
}

} // namespace

parsed_arguments parse_arguments(std::vector<std::string> arguments) {
    parsed_arguments parsed;
    raw_arguments raw;
    CLI::App app{
        "Sends coupon requests at once and looks who gets what they should not: several ways "
        "of\nredeeming a coupon, side by side, on a real PostgreSQL server.",
        "coupon-race"};
    app.set_help_flag("-?,--help", "show this and exit"); // -h is the host, as in psql
    app.set_version_flag("-V,--version", "coupon-race " COUPON_GUARD_VERSION);
    app.footer(footer());
    add_race_options(app, parsed.settings, raw);
    add_drop_options(app, parsed.settings, raw);
    add_checkout_options(app, parsed.settings, raw);
    add_output_options(app, parsed.settings, raw);
    add_connection_options(app, parsed.settings, raw);
    try {
        std::reverse(arguments.begin(), arguments.end()); // as CLI11 wants them
        app.parse(arguments);
        settle(app, raw, parsed.settings);
    } catch (const CLI::ParseError &caught) {
        std::ostringstream output;
        std::ostringstream error;
        parsed.exit = app.exit(caught, output, error) == 0 ? 0 : bad_arguments;
        parsed.output = output.str();
        parsed.error = error.str();
    }
    return parsed;
}

} // namespace coupon_race
