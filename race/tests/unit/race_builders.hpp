/// Short ways to write down a race, its ledger, and what is made of them.
#ifndef COUPON_RACE_TESTS_RACE_BUILDERS_HPP
#define COUPON_RACE_TESTS_RACE_BUILDERS_HPP

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "race_log.hpp"
#include "report/race_report.hpp"
#include "scenario/scenario.hpp"

namespace coupon_race {

inline attempt made_by(std::int64_t user, outcome what) {
    attempt made;
    made.user = user;
    made.outcome = what;
    return made;
}

inline attempt acknowledged(std::int64_t user, std::int64_t redemption_id) {
    attempt made = made_by(user, outcome::redeemed);
    made.redemption_id = redemption_id;
    return made;
}

inline attempt refused(std::int64_t user) {
    return made_by(user, outcome::refused);
}
inline attempt unknown(std::int64_t user) {
    return made_by(user, outcome::unknown);
}

inline attempt failed(std::int64_t user, std::string error) {
    attempt made = made_by(user, outcome::failed);
    made.error = std::move(error);
    return made;
}

inline attempt lasting(attempt made, race_clock::duration start, race_clock::duration length) {
    made.started = race_clock::time_point{start};
    made.ended = made.started + length;
    return made;
}

inline race_result left_behind(race_log log, std::vector<ledger_row> ledger) {
    race_result result;
    result.log = std::move(log);
    result.ledger = std::move(ledger);
    return result;
}

inline judgement judged_as(const char *scenario, race_log log, std::vector<ledger_row> ledger,
                           std::int64_t cap, std::int64_t broken_invariants, bool promises = true) {
    race_result result = left_behind(std::move(log), std::move(ledger));
    result.broken_invariants = broken_invariants;
    race_settings settings;
    settings.cap = cap;
    return scenario_named(scenario).judge(result, settings, promises);
}

/// Throws if there is none of that name.
inline const strategy &strategy_of(const char *scenario, const std::string &name) {
    const strategy *found = scenario_named(scenario).strategy_named(name);
    return found ? *found : throw std::invalid_argument{name};
}

/// Of a double-click by two clients.
inline strategy_report report_on(const strategy &by, race_log log, std::vector<ledger_row> ledger) {
    const scenario &raced = scenario_named("double-click");
    return report_on(raced, raced.defaults, by, left_behind(std::move(log), std::move(ledger)));
}

inline race_report blank_report(const char *scenario) {
    race_report report;
    report.raced = &scenario_named(scenario);
    report.settings = report.raced->defaults;
    report.server = {"15.20", true, true, "on"};
    return report;
}

/// How much of a finding there is; throws if the scenario has none of that name.
inline std::int64_t count_of(const judgement &judged, const std::string &key) {
    for (const finding &found : judged.findings)
        if (found.key == key)
            return found.count;
    throw std::invalid_argument{key};
}

} // namespace coupon_race

#endif
