#include "report/race_report.hpp"

namespace coupon_race {

strategy_report report_on(const strategy &raced, const race_log &log,
                          const std::vector<ledger_row> &ledger) {
    strategy_report report;
    report.name = raced.name();
    report.method = raced.method();
    report.promises_once_per_user = raced.promises_once_per_user();
    report.attempts = static_cast<std::int64_t>(log.size());
    for (const logged_attempt &request : log) {
        report.acknowledged += request.result.answer == answer::redeemed;
        report.refused += request.result.answer == answer::refused;
        report.errors += request.result.answer == answer::failed;
        report.unknown_outcomes += request.result.answer == answer::unknown;
        report.retries += request.result.retries;
    }
    report.timing = time_of(log);
    report.judged = judge_double_click(log, ledger, report.promises_once_per_user);
    return report;
}

exit_status race_report::status() const {
    std::vector<judgement> judgements;
    for (const strategy_report &report : strategies)
        judgements.push_back(report.judged);
    return exit_status_for(judgements);
}

} // namespace coupon_race
