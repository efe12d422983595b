#include "report/forms.hpp"
#include "report/sentences.hpp"
#include "report/tables.hpp"

namespace coupon_race {

std::string as_text(const race_report &report, charset characters, bool colour) {
    const std::string heading =
        report.raced->name + ": " + scene_of(report) + "\n" + server_text(report.server) + "\n";
    if (report.strategies.empty())
        return heading;
    const std::string latency = latency_table(report, characters, colour);
    return heading + "\n" + render_table(summary_table(report), colour) + "\n" + latency +
           (latency.empty() ? "" : "\n") + conclusions(report);
}

} // namespace coupon_race
