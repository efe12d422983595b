#include "report/race_report.hpp"

#include <algorithm>

#include "judge/checkout_verdict.hpp"
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
    report.picture = picture_of(log, ledger);
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
    report.picture = picture_of(result.log, ledger, cap);
    return report;
}

strategy_report report_on(const checkout_strategy &raced, const checkout_log &log,
                          const std::vector<ledger_row> &ledger, std::int64_t cap,
                          std::int64_t came_back, std::int64_t broken_invariants) {
    strategy_report report;
    report.name = raced.name();
    report.method = raced.method();
    report.attempts = static_cast<std::int64_t>(log.size());
    std::int64_t walked_away = 0;
    std::int64_t expired = 0;
    std::int64_t held = 0;
    duration until_held{};
    race_log requests;
    for (const visit &made : log) {
        walked_away += made.walked_away;
        expired += made.expired;
        if (!made.walked_away && !made.expired)
            count_answer(report, made.result);
        if (made.walked_away || made.expired || made.result.answer == answer::redeemed) {
            ++held;
            until_held += made.until_held;
        }
        requests.push_back(made);
    }
    report.measures = {{"walked_away", "walked away", walked_away, {}},
                       {"came_back", "came back", came_back, {}},
                       {"confirmed_too_late", "", expired, {}},
                       {"wait_ms", "wait", {}, until_held / std::max<std::int64_t>(1, held)}};
    report.timing = time_of(requests);
    report.judged = judge_checkout(log, ledger, cap, broken_invariants);
    report.picture = picture_of(log, ledger, cap);
    return report;
}

exit_status race_report::status() const {
    std::vector<judgement> judgements;
    for (const strategy_report &report : strategies)
        judgements.push_back(report.judged);
    return exit_status_for(judgements);
}

} // namespace coupon_race
