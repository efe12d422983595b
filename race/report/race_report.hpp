/// All there is to say about a run, before it is put into a form.
#ifndef COUPON_RACE_REPORT_RACE_REPORT_HPP
#define COUPON_RACE_REPORT_RACE_REPORT_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "judge/latency.hpp"
#include "judge/verdict.hpp"
#include "report/picture.hpp"
#include "scenario/scenario.hpp"

namespace coupon_race {

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
    const scenario *raced = nullptr;
    race_settings settings;
    std::uint64_t seed = 0;
    std::string started_at; ///< UTC, ISO 8601
    server_description server;
    std::vector<strategy_report> strategies;

    exit_status status() const;
};

/// Counts a race's answers and judges its ledger.
strategy_report report_on(const scenario &raced, const race_settings &settings, const strategy &by,
                          const race_result &result);

} // namespace coupon_race

#endif
