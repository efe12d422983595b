#include "report/race_report.hpp"

#include <algorithm>

#include "judge/drop_verdict.hpp"

namespace coupon_race {

namespace {

void count_answer(strategy_report &report, const attempt &result) {
    report.acknowledged += result.answer == answer::redeemed;
    report.refused += result.answer == answer::refused;
    report.errors += result.answer == answer::failed;
    report.unknown_outcomes += result.answer == answer::unknown;
    report.retries += result.retries;
}

} // namespace

strategy_report report_on(const strategy &raced, const race_log &log,
                          const std::vector<ledger_row> &ledger) {
    strategy_report report;
    report.name = raced.name();
    report.method = raced.method();
    report.promises_once_per_user = raced.promises_once_per_user();
    report.attempts = static_cast<std::int64_t>(log.size());
    for (const logged_attempt &request : log)
        count_answer(report, request.result);
    report.timing = time_of(log);
    report.judged = judge_double_click(log, ledger, report.promises_once_per_user);
    return report;
}

strategy_report report_on(const drop_strategy &raced, const drop_result &result,
                          const std::vector<ledger_row> &ledger, std::int64_t cap,
                          std::int64_t broken_invariants) {
    strategy_report report;
    report.name = raced.name();
    report.method = raced.method();
    report.attempts = static_cast<std::int64_t>(result.log.size());
    std::int64_t rolled_back = 0;
    std::int64_t connections_lost = 0;
    race_log requests;
    for (const purchase &made : result.log) {
        rolled_back += made.rolled_back;
        connections_lost += made.connections_lost;
        if (!made.rolled_back)
            count_answer(report, made.result);
        requests.push_back(made);
    }
    const auto count = std::max<std::int64_t>(1, report.attempts);
    report.measures = {{"rolled_back", "", rolled_back, {}},
                       {"connections_lost", "killed", connections_lost, {}},
                       {"wait_ms", "wait", {}, result.blocked / count}};
    report.timing = time_of(requests);
    report.judged = judge_drop(result.log, ledger, cap, broken_invariants);
    return report;
}

exit_status race_report::status() const {
    std::vector<judgement> judgements;
    for (const strategy_report &report : strategies)
        judgements.push_back(report.judged);
    return exit_status_for(judgements);
}

} // namespace coupon_race
