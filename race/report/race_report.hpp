/// All there is to say about a run, before it is put into a form.
#ifndef COUPON_RACE_REPORT_RACE_REPORT_HPP
#define COUPON_RACE_REPORT_RACE_REPORT_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "judge/latency.hpp"
#include "judge/verdict.hpp"
#include "report/picture.hpp"
#include "scenario/checkout.hpp"
#include "scenario/drop.hpp"
#include "scenario/race_log.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

/// A figure that only some scenarios have; one of the two.
struct measure {
    std::string key;   ///< the name in JSON; in milliseconds if it is a duration
    std::string title; ///< the name in the table; empty: not shown there
    std::optional<std::int64_t> count;
    std::optional<duration> time;
};

struct strategy_report {
    std::string name;
    std::string method;
    bool promises_once_per_user = true;
    std::int64_t attempts = 0;
    std::int64_t acknowledged = 0;
    std::int64_t refused = 0;
    std::int64_t errors = 0;
    std::int64_t unknown_outcomes = 0;
    std::int64_t retries = 0;
    std::vector<measure> measures; ///< the same for all strategies of a race
    coupon_race::timing timing;
    judgement judged;
    coupon_race::picture picture;
};

struct server_description {
    std::string version;
    bool throwaway = true;
    bool fsync = true;
    std::string synchronous_commit;
};

struct race_report {
    std::string scenario;
    int clients = 0;
    std::int64_t rounds = 0;
    std::chrono::microseconds think_time{0};
    std::optional<coupon_race::drop> drop; ///< the scenario's own settings, if it is that one
    std::optional<coupon_race::checkout> checkout; ///< likewise
    std::uint64_t seed = 0;
    std::string started_at; ///< UTC, ISO 8601
    server_description server;
    std::vector<strategy_report> strategies;

    exit_status status() const;
};

/// Counts a race's answers and judges its ledger.
strategy_report report_on(const strategy &raced, const race_log &log,
                          const std::vector<ledger_row> &ledger);

/// The same for a drop. `broken_invariants` are the strategy's own.
strategy_report report_on(const drop_strategy &raced, const drop_result &result,
                          const std::vector<ledger_row> &ledger, std::int64_t cap,
                          std::int64_t broken_invariants);

/// The same for a checkout. `came_back` are the holds whose unit was taken back.
strategy_report report_on(const checkout_strategy &raced, const checkout_log &log,
                          const std::vector<ledger_row> &ledger, std::int64_t cap,
                          std::int64_t came_back, std::int64_t broken_invariants);

} // namespace coupon_race

#endif
