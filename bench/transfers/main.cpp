/// transfers: plays one sale over many shards under each rule by which units could move between
/// them, and writes a table and charts to standard output (docs/scale.md). Its exit code is 1 if a
/// buyer was refused while a unit was left, or a unit was lost.

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "report.hpp"
#include "shop.hpp"

namespace {

using namespace transfers;

/// Where the buyers are.
struct crowd {
    const char *name;
    double zipf;
    double to_first;
    seconds first_moves;
};

constexpr crowd crowds[] = {
    {"even", 0, 0, 0},
    {"the n-th shard has 1/n", 1, 0, 0},
    {"9 of 10 on one shard", 0, 0.9, 0},
    {"9 of 10 on one, every 20 s another", 0, 0.9, 20},
};

/// In seconds, as short as it can be.
std::string written(seconds time) {
    char text[32];
    std::snprintf(text, sizeof text, "%g s", time);
    return text;
}

std::vector<transfer_rule> rules(double ahead, units lot, const std::vector<seconds> &rebalanced) {
    const std::string of_lot = "lots of " + std::to_string(lot);
    std::vector<transfer_rule> all = {
        {"half", transfer_rule::gift::half, 0, 0, 0, false},
        {of_lot, transfer_rule::gift::lot, lot, 0, 0, false},
        {"by use", transfer_rule::gift::by_use, 0, 0, 0, false},
        {"half, ahead", transfer_rule::gift::half, 0, ahead, 0, false},
        {of_lot + ", ahead", transfer_rule::gift::lot, lot, ahead, 0, false},
        {"by use, ahead", transfer_rule::gift::by_use, 0, ahead, 0, false},
    };
    for (seconds every : rebalanced)
        all.push_back({"by use, rebalance " + written(every), transfer_rule::gift::by_use, 0, 0,
                       every, false});
    all.push_back({"by use, rebalance " + written(rebalanced.back()) + " by all use",
                   transfer_rule::gift::by_use, 0, 0, rebalanced.back(), true});
    return all;
}

bool keeps_the_promise(const result &came) {
    return came.refused_wrongly == 0 && came.unaccounted == 0;
}

int run(int argc, char **argv) {
    settings wanted;
    double ahead = 3;
    units lot = 1000;
    std::vector<seconds> rebalanced = {60, 10, 1};
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
    program.add_option("--between-looks", wanted.between_looks, "seconds")->capture_default_str();
    program
        .add_option("--questions", wanted.questions_agree, "that agree before anybody is refused")
        ->capture_default_str()
        ->check(CLI::Range(1, 10));
    program.add_option("--ahead", ahead, "times of a transfer")->capture_default_str();
    program.add_option("--lot", lot)->capture_default_str()->check(CLI::PositiveNumber);
    program.add_option("--rebalanced-every", rebalanced, "seconds, one rule each")
        ->capture_default_str();
    program.add_option("--seed", wanted.seed)->capture_default_str();
    CLI11_PARSE(program, argc, argv);

    print_heading();
    settings alone = wanted;
    alone.shards = 1;
    alone.question = alone.between_looks = 0; // there is nobody to ask
    sale first{"on one server", "", shop(alone, transfer_rule{}).play()};
    print_row(first);
    bool is_right = keeps_the_promise(first.came);
    std::vector<sale> sales;
    for (const crowd &buyers : crowds)
        for (const transfer_rule &rule : rules(ahead, lot, rebalanced)) {
            wanted.zipf = buyers.zipf;
            wanted.to_first = buyers.to_first;
            wanted.first_moves = buyers.first_moves;
            sales.push_back({buyers.name, rule.name, shop(wanted, rule).play()});
            print_row(sales.back());
            is_right = is_right && keeps_the_promise(sales.back().came);
            sales.back().came.waits.clear();
            sales.back().came.refusal_waits.clear();
        }
    print_charts(sales, crowds[2].name, first.came.last_unit);
    return is_right ? 0 : 1;
}

} // namespace

int main(int argc, char **argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception &wrong) {
        std::fprintf(stderr, "transfers: %s\n", wrong.what());
        return 2;
    }
}
