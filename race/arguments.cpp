#include "arguments.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h> // fmt::join, since fmt 11

#include "exit_status.hpp"

namespace coupon_race {

namespace {

constexpr int most_clients = 1000;
constexpr std::int64_t most_rounds = 10'000'000;
constexpr std::int64_t most_buyers = 10'000'000;
constexpr std::int64_t most_budget = 100'000'000'000; // so that no sum is too large
constexpr double most_think_time_ms = 60'000;
constexpr int most_shards = 16;
constexpr double most_interval_s = 3'600;

/// An option of the race itself, which only some scenarios have.
struct race_option {
    CLI::Option *option;
    setting::field where;
};

/// What the options say before it is made into settings.
struct raw_arguments {
    std::string scenario = scenarios().front()->name;
    race_settings race;
    std::vector<race_option> options; ///< of which the scenario takes those that are its own
    std::string connection;
    std::map<std::string, std::string> connection_options; ///< by libpq keyword
    std::string colour = "auto";
};

std::string strategies_of(const scenario &raced, const char *qualified) {
    std::string text = fmt::format("Strategies of {}{}:\n", raced.name, qualified);
    for (const auto &each : raced.strategies)
        text += fmt::format("  {:<16}{}\n", each->name(), each->method());
    return text + "\n";
}

std::string footer() {
    std::string text;
    for (const auto &scenario : scenarios()) {
        text += strategies_of(*scenario, "");
        if (scenario->over_shards)
            text += strategies_of(*scenario->over_shards, " with --shards");
    }
    return text +
           R"(Without a CONNECTION, -h, -p, -U or -d the race is run on a throw-away PostgreSQL server, started for
it and removed after it. With any of them it is run on that server, in databases of its own, which
are created and dropped; PG* environment variables and service files then apply as in psql.

Exit status: 0 all as expected (naive may fail, or be lucky), 1 a strategy broke its promise, 2 could
not tell, 254 bad arguments, 128 + n after signal n.)";
}

template <typename Things>
std::vector<std::string> names_of(const Things &things,
                                  std::string (*name)(const typename Things::value_type &)) {
    std::vector<std::string> names;
    names.reserve(things.size());
    for (const auto &each : things)
        names.push_back(name(each));
    return names;
}

/// Checks a value without telling the check in the help, where the words say it.
CLI::Validator quietly(CLI::Validator check) {
    return check.description("");
}

std::chrono::microseconds from_milliseconds(double value) {
    return std::chrono::microseconds{std::llround(value * 1000)};
}
std::chrono::microseconds from_seconds(double value) {
    return from_milliseconds(value * 1000);
}

void add_race_options(CLI::App &app, settings &wanted, raw_arguments &raw) {
    const auto number = [&](const char *names, auto race_settings::*where, auto least, auto most,
                            const char *type, const char *help) {
        CLI::Option *option = app.add_option(names, raw.race.*where, help)
                                  ->type_name(type)
                                  ->check(quietly(CLI::Range(least, most)));
        raw.options.push_back({option, where});
        return option;
    };
    const auto duration = [&](const char *names, std::chrono::microseconds race_settings::*where,
                              const char *unit, std::chrono::microseconds (*from)(double),
                              double least, double most, const char *help) {
        CLI::Option *option =
            app.add_option_function<double>(
                   names, [&raw, where, from](double value) { raw.race.*where = from(value); },
                   help)
                ->type_name(unit)
                ->check(quietly(CLI::Range(least, most)));
        raw.options.push_back({option, where});
        return option;
    };
    const auto time = [&](const char *names, std::chrono::microseconds race_settings::*where,
                          double least, const char *help) {
        return duration(names, where, "MS", from_milliseconds, least, most_think_time_ms, help);
    };
    const auto share = [&](const char *names, double race_settings::*where, const char *help) {
        number(names, where, 0.0, 1.0, "RATE", help)->capture_default_str();
    };
    app.add_option("--scenario", raw.scenario,
                   "double-click: one user, the same request several times at once;\n"
                   "drop: a capped coupon, more buyers than units;\n"
                   "checkout: units are held, then confirmed or abandoned;\n"
                   "budget: many buyers, each with an amount, of one budget;\n"
                   "claim: many users, each of whom wants a code of one campaign")
        ->type_name("NAME")
        ->check(quietly(CLI::IsMember(names_of(
            scenarios(), +[](const std::unique_ptr<scenario> &each) { return each->name; }))))
        ->capture_default_str();
    number("-c,--clients", &race_settings::clients, 2, most_clients, "N",
           "requests at once, each on its own connection but for the strategy grouped (2 to 1000)"
           " [2; others: 32]");
    number("-r,--rounds", &race_settings::rounds, std::int64_t{1}, most_rounds, "N",
           "double-click: how often; each round is a user of its own")
        ->capture_default_str();
    app.add_option("-s,--strategies", wanted.strategies,
                   "which to race, in this order, with commas in between [all]")
        ->type_name("NAMES")
        ->delimiter(',')
        ->allow_extra_args(false); // or it would swallow the CONNECTION behind it
    time("-t,--think-time", &race_settings::think_time, 0,
         "double-click: how long a strategy that looks before it writes (naive, serializable,"
         " for-update) pauses in between [0]; checkout: from the hold to its confirmation [20]");
    app.add_option("--seed", wanted.seed,
                   "of the pauses between retries, and of who rolls back or is killed [a new one]")
        ->type_name("N");
    number(
        "--buyers", &race_settings::buyers, std::int64_t{1}, most_buyers, "N",
        "drop, checkout, budget, claim: how many come [2000; checkout, budget: 1000; claim: 600]");
    number("--cap", &race_settings::cap, std::int64_t{1}, most_buyers, "N",
           "drop, checkout: how many units there are; claim: how many codes"
           " [500; checkout: 200; claim: 300]");
    number("--budget", &race_settings::budget, std::int64_t{1}, most_budget, "N",
           "budget: what all redemptions may have together [1000000]");
    number("--max-amount", &race_settings::max_amount, std::int64_t{1}, most_budget, "N",
           "budget: each buyer asks for 1 to N of it [5000]");
    time("--hold-time", &race_settings::hold_time, 0,
         "drop, budget, claim: from the redemption to the end of its transaction [2; claim: 5]");
    share("--rollback-rate", &race_settings::rollback_rate,
          "drop, budget, claim: the share of redemptions that are rolled back");
    share("--kill-rate", &race_settings::kill_rate,
          "drop: the share whose connection is killed, before COMMIT or while it is sent");
    share("--walk-away-rate", &race_settings::walk_away_rate,
          "checkout: the share of holds that are abandoned");
    time("--ttl", &race_settings::ttl, 1, "checkout: how long a unit is held")->default_str("200");
    number("--shards", &race_settings::shards, 1, most_shards, "N",
           "drop: over N throw-away servers, to which a router leads (1 to 16)");
    share("--skew", &race_settings::skew,
          "drop with --shards: the share of buyers who are on one shard; 0: on all alike");
    const auto interval = [&](const char *names, std::chrono::microseconds race_settings::*where,
                              const char *help) {
        duration(names, where, "SECONDS", from_seconds, 0, most_interval_s, help);
    };
    interval(
        "--kill-shards-every", &race_settings::crash_interval,
        "drop with --shards: how often one of them ends at once, and is started again [never]");
    interval("--cut-every", &race_settings::cut_interval,
             "drop with --shards: how often the network between the router and one of them is\n"
             "reset, or gone for a while [never]");
}

bool has(const scenario &raced, const setting::field &where) {
    return std::any_of(raced.settings.begin(), raced.settings.end(),
                       [&](const setting &each) { return each.where == where; });
}

/// Over shards if that was said, where the scenario can be raced so.
const scenario &chosen_scenario(const raw_arguments &raw) {
    const scenario &named = scenario_named(raw.scenario);
    const bool over_shards = raw.race.shards > 0;
    return over_shards && named.over_shards ? *named.over_shards : named;
}

/// Why an option cannot be given.
std::string not_for(const scenario &raced, const race_option &refused) {
    const std::string option = refused.option->get_name();
    if (raced.over_shards && has(*raced.over_shards, refused.where))
        return option + " needs --shards";
    const bool over_shards = has(raced, setting::field{&race_settings::shards});
    return fmt::format("{} is not for the scenario {}{}", option, raced.name,
                       over_shards ? " with --shards" : "");
}

/// The scenario's defaults, and what was said instead.
void settle_race(const raw_arguments &raw, settings &wanted) {
    wanted.raced = &chosen_scenario(raw);
    wanted.race = wanted.raced->defaults;
    for (const race_option &each : raw.options) {
        if (each.option->count() == 0)
            continue;
        if (!has(*wanted.raced, each.where))
            throw CLI::ValidationError(not_for(*wanted.raced, each));
        std::visit([&](auto where) { wanted.race.*where = raw.race.*where; }, each.where);
    }
    try {
        wanted.raced->check(wanted.race);
    } catch (const std::invalid_argument &reason) {
        throw CLI::ValidationError(reason.what());
    }
}

void settle_strategies(settings &wanted) {
    const std::vector<std::string> known = names_of(
        wanted.raced->strategies,
        +[](const std::unique_ptr<strategy> &each) { return each->name(); });
    if (wanted.strategies.empty())
        wanted.strategies = known;
    for (const std::string &name : wanted.strategies)
        if (!wanted.raced->strategy_named(name))
            throw CLI::ValidationError(fmt::format("--strategies: {} has no strategy {}; it has {}",
                                                   wanted.raced->name, name,
                                                   fmt::join(known, ", ")));
    std::vector<std::string> sorted = wanted.strategies;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
        throw CLI::ValidationError("--strategies names one twice");
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
    settle_race(raw, wanted);
    settle_strategies(wanted);
    if (wanted.server && wanted.race.shards > 0)
        throw CLI::ValidationError("--shards is for throw-away servers, and a server is named");
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
