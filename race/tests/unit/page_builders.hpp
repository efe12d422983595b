/// Reports to make pages of.
#ifndef COUPON_RACE_TESTS_PAGE_BUILDERS_HPP
#define COUPON_RACE_TESTS_PAGE_BUILDERS_HPP

#include <string>

#include "race_builders.hpp"
#include "report/race_report.hpp"

namespace coupon_race {

/// What somebody may have written who wants their own script in the page.
inline const std::string hostile = "</script><script>document.documentElement.dataset.taken = 1"
                                   "</script><!-- <img src=x onerror=alert(1)> \" ' & \\ {{race}}";

inline race_report blank_page() {
    race_report report = blank_report("double-click");
    report.settings.rounds = 2;
    report.started_at = "2026-01-02T03:04:05Z";
    return report;
}

/// One double redemption, one error, one who never heard, and hostile text wherever there is text.
inline race_report hostile_page() {
    using namespace std::chrono_literals;
    race_log log{lasting(acknowledged(1, 10), 0ms, 1ms), lasting(acknowledged(1, 11), 0ms, 2ms),
                 lasting(failed(2, hostile), 5ms, 1ms), lasting(unknown(2), 5ms, 30ms)};
    for (std::size_t at = 0; at < log.size(); ++at)
        log[at].client = static_cast<int>(at % 2);
    log[2].retries = 3;
    race_report report = blank_page();
    report.server.version = hostile;
    report.strategies.push_back(
        report_on(strategy_of("double-click", "naive"), log, {{10, 1}, {11, 1}}));
    report.strategies.front().name = hostile;
    report.strategies.front().method = hostile;
    return report;
}

/// Four clients, who sold twelve units though there were eight.
inline race_report oversold_page() {
    using namespace std::chrono_literals;
    race_report report = blank_page();
    report.raced = &scenario_named("drop");
    report.settings = report.raced->defaults;
    report.settings.clients = 4;
    report.settings.buyers = 20;
    report.settings.cap = 8;
    race_result result;
    for (std::int64_t buyer = 1; buyer <= 20; ++buyer) {
        result.log.push_back(lasting(buyer <= 12 ? acknowledged(buyer, buyer) : refused(buyer),
                                     buyer * 10ms, (30 + buyer % 3) * 1ms));
        result.log.back().client = static_cast<int>(buyer % 4);
        if (buyer <= 12)
            result.ledger.push_back({buyer, buyer});
    }
    report.strategies.push_back(
        report_on(*report.raced, report.settings, strategy_of("drop", "textbook"), result));
    return report;
}

} // namespace coupon_race

#endif
