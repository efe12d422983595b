/// callers: so many callers, each of whom waits for an answer before it asks again. Writes what
/// they were answered, and how long they waited for it, as JSON. bench/coupon_bench/callers.py
/// starts it.

#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <string>

#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "load.hpp"
#include "postgres.hpp"
#ifdef WITH_REDIS
#include "redis.hpp"
#endif

namespace {

using namespace callers;

/// Of the latencies, in order of size, every so manyth is told: what a plot needs.
constexpr std::size_t told_latency = 10;

struct arguments {
    bool tells_ways = false;
    std::string way;
    load wanted;
    int connections = 1;
    std::string code = "CAPPED";
    int coupons = 0;
    database postgres{{}, "guard"};
    std::string socket;
    std::string script;

    request_source source() const { return {code, coupons}; }
};

using way_of_asking = std::function<tally(const arguments &)>;

const std::map<std::string, way_of_asking> &ways() {
    static const std::map<std::string, way_of_asking> all{
        {"connections",
         [](const arguments &given) {
             return ask_by_connections(given.wanted, given.source(), given.postgres);
         }},
        {"group",
         [](const arguments &given) {
             return ask_by_group(given.wanted, given.source(), given.postgres, given.connections);
         }},
        {"futures",
         [](const arguments &given) {
             return ask_by_futures(given.wanted, given.source(), given.postgres, given.connections);
         }},
#ifdef WITH_REDIS
        {"redis",
         [](const arguments &given) {
             return ask_redis(given.wanted, given.source(), {given.socket, given.script});
         }},
#endif
    };
    return all;
}

double seconds(const timeval &time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

nlohmann::json as_json(const arguments &given, tally counted) {
    auto &latencies = counted.latencies;
    std::sort(latencies.begin(), latencies.end());
    const auto quantile = [&](double part) -> nlohmann::json {
        if (latencies.empty())
            return nullptr;
        const auto at = static_cast<std::size_t>(part * static_cast<double>(latencies.size()));
        return latencies[std::min(at, latencies.size() - 1)].count();
    };
    auto told = nlohmann::json::array();
    for (std::size_t at = told_latency / 2; at < latencies.size(); at += told_latency)
        told.push_back(latencies[at].count());
    rusage used{};
    getrusage(RUSAGE_SELF, &used);
    return {{"callers", given.wanted.callers},
            {"seconds", std::chrono::duration<double>{given.wanted.measured}.count()},
            {"answers", latencies.size()},
            {"p50_us", quantile(0.5)},
            {"p95_us", quantile(0.95)},
            {"p99_us", quantile(0.99)},
            {"latencies_us", told},
            {"all_answers", counted.answers},
            {"redeemed", counted.redeemed},
            {"user_seconds", seconds(used.ru_utime)},
            {"system_seconds", seconds(used.ru_stime)},
            {"context_switches", used.ru_nvcsw + used.ru_nivcsw}};
}

void describe(CLI::App &command_line, arguments &given) {
    std::vector<std::string> names;
    for (const auto &each : ways())
        names.push_back(each.first);
    command_line.add_flag("--ways", given.tells_ways, "Tell how callers can ask, and end");
    command_line.add_option("WAY", given.way, "How callers ask")->check(CLI::IsMember(names));
    command_line.add_option("--callers", given.wanted.callers, "So many at once")
        ->check(CLI::Range(1, 10000));
    const auto add_seconds = [&](const char *name, std::chrono::milliseconds &into,
                                 const char *text) {
        command_line.add_option_function<double>(
            name,
            [&into](double given_seconds) {
                into = std::chrono::milliseconds{static_cast<long>(given_seconds * 1000)};
            },
            text);
    };
    add_seconds("--seconds", given.wanted.measured, "How long answers are measured");
    add_seconds("--warm-up", given.wanted.warm_up, "Before that, in seconds");
    command_line.add_option("--connections", given.connections, "Of the group_client");
    command_line.add_option("--conninfo", given.postgres.conninfo, "As libpq takes it");
    command_line.add_option("--schema", given.postgres.schema, "Where the extension is");
    command_line.add_option("--code", given.code, "Whose coupon all want");
    command_line.add_option("--coupons", given.coupons,
                            "Rather than that: one of the codes 1 to N");
    command_line.add_option("--socket", given.socket, "Of Redis");
    command_line.add_option("--script", given.script, "SHA1 of the script that Redis runs");
}

} // namespace

int main(int count, char **words) {
    CLI::App command_line{"Asks for coupons, and tells how long the answers took"};
    arguments given;
    describe(command_line, given);
    CLI11_PARSE(command_line, count, words);
    if (given.tells_ways) {
        for (const auto &each : ways())
            std::puts(each.first.c_str());
        return 0;
    }
    if (given.way.empty()) {
        std::fputs(command_line.help().c_str(), stderr);
        return 2;
    }
    try {
        const std::string text = as_json(given, ways().at(given.way)(given)).dump();
        std::puts(text.c_str());
        return 0;
    } catch (const std::exception &failed) {
        std::fprintf(stderr, "callers: %s\n", failed.what());
        return 1;
    }
}
