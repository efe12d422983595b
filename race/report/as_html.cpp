#include "report/as_html.hpp"

#include <cmath>
#include <sstream>

#include <nlohmann/json.hpp>

#include "report/forms.hpp"
#include "report/latency_table.hpp"
#include "report/page_template.hpp"
#include "report/sentences.hpp"
#include "report/tables.hpp"

namespace coupon_race {

namespace {

using json = nlohmann::ordered_json;

/// To the microsecond: what is behind it is noise, and makes the page longer.
double milliseconds(duration value) {
    return std::round(static_cast<double>(value.count()) / 1e3) / 1e3;
}

const char *key_of(outcome what) {
    switch (what) {
    case outcome::redeemed:
        return "redeemed";
    case outcome::refused:
        return "refused";
    case outcome::rolled_back:
        return "rolled_back";
    case outcome::walked_away:
        return "walked_away";
    case outcome::expired:
        return "expired";
    case outcome::unknown:
        return "unknown";
    case outcome::failed:
        break;
    }
    return "failed";
}

const char *look_of(style look) {
    switch (look) {
    case style::good:
        return "good";
    case style::bad:
        return "bad";
    case style::doubtful:
        return "doubtful";
    case style::bold:
    case style::plain:
        break;
    }
    return "";
}

/// In the words of the scenario, in the order of the legend.
json outcomes_of(const race_report &report) {
    const bool sale = report.drop || report.checkout;
    const auto named = [](outcome what, const char *title) {
        return json{{"key", key_of(what)}, {"title", title}};
    };
    return {named(outcome::redeemed, report.drop       ? "sold"
                                     : report.checkout ? "confirmed"
                                                       : "redeemed"),
            named(outcome::refused, sale ? "sold out" : "already redeemed"),
            named(outcome::rolled_back, "rolled back"),
            named(outcome::walked_away, "walked away"),
            named(outcome::expired, "confirmed too late"),
            named(outcome::unknown, "never told"),
            named(outcome::failed, "error")};
}

json attempt_of(const timeline_entry &entry) {
    json object{{"row", entry.row},
                {"user", entry.user},
                {"from", milliseconds(entry.from)},
                {"held", milliseconds(entry.held)},
                {"to", milliseconds(entry.to)},
                {"outcome", key_of(entry.outcome)}};
    if (entry.wrong != excess::none)
        object["excess"] =
            entry.wrong == excess::double_redemption ? "double redemption" : "over the cap";
    if (entry.retries > 0)
        object["retries"] = entry.retries;
    if (!entry.error.empty())
        object["error"] = entry.error;
    return object;
}

json latency_of(const strategy_report &strategy, const latency_scale &scale) {
    const latencies &latency = strategy.timing.latency;
    json object{{"percentiles_ms", json::object()}, {"counts", json::object()}};
    if (strategy.attempts > 0)
        object["percentiles_ms"] = {{"p50", milliseconds(latency.p50)},
                                    {"p95", milliseconds(latency.p95)},
                                    {"p99", milliseconds(latency.p99)}};
    for (const auto &[what, histogram] : strategy.picture.latency)
        object["counts"][key_of(what)] = histogram.on(scale);
    return object;
}

json strategy_of(const strategy_report &strategy, const cell &verdict, const latency_scale &scale) {
    const timeline &shown = strategy.picture.timeline;
    json object{{"name", strategy.name},
                {"method", strategy.method},
                {"verdict", verdict.text},
                {"look", look_of(verdict.look)},
                {"shown", shown.shown},
                {"since", milliseconds(shown.since)},
                {"rows", shown.rows},
                {"attempts", json::array()},
                {"latency", latency_of(strategy, scale)},
                {"sales", json::array()}};
    for (const timeline_entry &entry : shown.entries)
        object["attempts"].push_back(attempt_of(entry));
    for (const sale &each : strategy.picture.sales)
        object["sales"].push_back({milliseconds(each.after), each.sold});
    return object;
}

json summary_of(const std::vector<std::vector<cell>> &table) {
    json object{{"head", json::array()}, {"rows", json::array()}};
    for (std::size_t at = 0; at < table.size(); ++at) {
        json cells = json::array();
        for (const cell &each : table[at])
            cells.push_back(at == 0 ? json(each.text)
                                    : json{{"text", each.text}, {"look", look_of(each.look)}});
        if (at == 0)
            object["head"] = cells;
        else
            object["rows"].push_back(cells);
    }
    return object;
}

std::vector<std::string> lines_of(const std::string &text) {
    std::vector<std::string> lines;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);)
        lines.push_back(line);
    return lines;
}

json cap_of(const race_report &report) {
    if (report.drop)
        return report.drop->cap;
    return report.checkout ? json(report.checkout->cap) : json(nullptr);
}

json page_data(const race_report &report) {
    const std::vector<std::vector<cell>> table = summary_table(report);
    const latency_scale scale = latency_scale_of(report);
    json object{{"version", COUPON_GUARD_VERSION},
                {"scenario", report.scenario},
                {"scene", scene_of(report)},
                {"server", server_text(report.server)},
                {"started_at", report.started_at},
                {"seed", std::to_string(report.seed)}, // a script's numbers have 53 bits
                {"conclusions", lines_of(conclusions(report))},
                {"summary", summary_of(table)},
                {"outcomes", outcomes_of(report)},
                {"cap", cap_of(report)},
                {"latency_edges_ms", json::array()},
                {"strategies", json::array()}};
    for (int bucket = 0; scale.buckets > 0 && bucket <= scale.buckets; ++bucket)
        object["latency_edges_ms"].push_back(milliseconds(scale.edge(bucket)));
    for (std::size_t at = 0; at < report.strategies.size(); ++at)
        object["strategies"].push_back(
            strategy_of(report.strategies[at], table[at + 1].back(), scale));
    return object;
}

/// Valid JSON still, and nothing in it can end the element it stands in: "<" occurs in strings
/// only.
std::string for_a_script_element(const json &data) {
    std::string escaped;
    for (const char each : data.dump(-1, ' ', false, json::error_handler_t::replace))
        if (each == '<')
            escaped += "\\u003c";
        else
            escaped += each;
    return escaped;
}

} // namespace

std::string as_html(const race_report &report) {
    std::string page{page_template()};
    page.replace(page.find(page_data_mark), page_data_mark.size(),
                 for_a_script_element(page_data(report)));
    return page;
}

} // namespace coupon_race
