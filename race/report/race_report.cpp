#include "report/race_report.hpp"

namespace coupon_race {

namespace {

/// Who rolled back, walked away or came too late has no answer worth judging.
void count_answer(strategy_report &report, const attempt &made) {
    if (made.outcome == outcome::rolled_back || made.outcome == outcome::walked_away ||
        made.outcome == outcome::expired)
        return;
    report.acknowledged += made.outcome == outcome::redeemed;
    report.refused += made.outcome == outcome::refused;
    report.errors += made.outcome == outcome::failed;
    report.unknown_outcomes += made.outcome == outcome::unknown;
    report.retries += made.retries;
}

} // namespace

strategy_report report_on(const scenario &raced, const race_settings &settings, const strategy &by,
                          const race_result &result) {
    strategy_report report;
    report.name = by.name();
    report.method = by.method();
    report.promises_once_per_user = by.promises_once_per_user();
    report.attempts = static_cast<std::int64_t>(result.log.size());
    for (const attempt &made : result.log)
        count_answer(report, made);
    report.timing = time_of(result.log);
    report.judged = raced.judge(result, settings, report.promises_once_per_user);
    report.measures = raced.measures(result, settings, report.judged);
    report.picture = picture_of(result.log, result.ledger, settings.cap, settings.budget);
    return report;
}

exit_status race_report::status() const {
    std::vector<judgement> judgements;
    for (const strategy_report &report : strategies)
        judgements.push_back(report.judged);
    return exit_status_for(judgements);
}

} // namespace coupon_race
