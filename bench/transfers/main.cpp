/// transfers: plays one sale over many shards under each rule by which units could move between
/// them, and writes a table to standard output (docs/scale.md).

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "shop.hpp"

namespace {

using namespace transfers;

/// Where the buyers are.
struct crowd {
    const char *name;
    double zipf;
    double to_first;
};

constexpr crowd crowds[] = {
    {"even", 0, 0},
    {"the n-th shard has 1/n", 1, 0},
    {"9 of 10 on one shard", 0, 0.9},
};

std::vector<transfer_rule> rules(double ahead, units lot) {
    const std::string of_lot = "lots of " + std::to_string(lot);
    return {
        {"half", transfer_rule::gift::half, 0, 0},
        {"by use", transfer_rule::gift::by_use, 0, 0},
        {of_lot, transfer_rule::gift::lot, lot, 0},
        {"half, ahead", transfer_rule::gift::half, 0, ahead},
        {"by use, ahead", transfer_rule::gift::by_use, 0, ahead},
        {of_lot + ", ahead", transfer_rule::gift::lot, lot, ahead},
    };
}

/// In milliseconds; 0 of nothing.
double quantile(std::vector<float> &of, double which) {
    if (of.empty())
        return 0;
    auto at = static_cast<std::size_t>(which * static_cast<double>(of.size()));
    auto found = of.begin() + static_cast<std::ptrdiff_t>(std::min(at, of.size() - 1));
    std::nth_element(of.begin(), found, of.end());
    return 1000.0 * static_cast<double>(*found);
}

void print_heading() {
    std::puts(
        "| buyers | rule | sold | refused while a unit was left | transfers | questions | last "
        "unit, s | waited for units | p50, ms | p99, ms | longest, ms | refused after, p50, ms "
        "| longest, ms |\n"
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
}

void print(const crowd &buyers, const transfer_rule &rule, result &of) {
    std::printf("| %s | %s | %lld | %lld | %lld | %lld | %.2f | %lld | %.0f | %.0f | %.0f | %.0f | "
                "%.0f |\n",
                buyers.name, rule.name.c_str(), static_cast<long long>(of.sold),
                static_cast<long long>(of.refused_wrongly), static_cast<long long>(of.transfers),
                static_cast<long long>(of.questions), of.last_unit,
                static_cast<long long>(of.waited), quantile(of.waits, 0.5),
                quantile(of.waits, 0.99), quantile(of.waits, 1), quantile(of.refusal_waits, 0.5),
                quantile(of.refusal_waits, 1));
    std::fflush(stdout);
}

} // namespace

int main(int argc, char **argv) {
    settings wanted;
    double ahead = 3;
    units lot = 1000;
    CLI::App program{"Plays a sale over many shards under each rule of moving units."};
    program.add_option("--shards", wanted.shards)
        ->capture_default_str()
        ->check(CLI::Range(2, 10000));
    program.add_option("--cap", wanted.cap)->capture_default_str()->check(CLI::PositiveNumber);
    program.add_option("--buyers", wanted.buyers)
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    program.add_option("--sale", wanted.sale, "seconds in which they come")->capture_default_str();
    program.add_option("--rolled-back", wanted.rolled_back)
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0));
    program.add_option("--transaction", wanted.transaction, "seconds")->capture_default_str();
    program.add_option("--question", wanted.question, "seconds")->capture_default_str();
    program.add_option("--transfer", wanted.transfer, "seconds")->capture_default_str();
    program.add_option("--between-questions", wanted.between_questions, "seconds")
        ->capture_default_str();
    program.add_option("--ahead", ahead, "times of a transfer")->capture_default_str();
    program.add_option("--lot", lot)->capture_default_str()->check(CLI::PositiveNumber);
    program.add_option("--seed", wanted.seed)->capture_default_str();
    CLI11_PARSE(program, argc, argv);

    print_heading();
    settings alone = wanted;
    alone.shards = 1;
    alone.question = alone.between_questions = 0; // there is nobody to ask
    const transfer_rule none;
    result of_one = shop(alone, none).play();
    print({"on one server", 0, 0}, none, of_one);
    for (const crowd &buyers : crowds)
        for (const transfer_rule &rule : rules(ahead, lot)) {
            wanted.zipf = buyers.zipf;
            wanted.to_first = buyers.to_first;
            result came = shop(wanted, rule).play();
            print(buyers, rule, came);
        }
}
