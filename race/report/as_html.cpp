#include <algorithm>
#include <cmath>
#include <iterator>
#include <sstream>

#include <nlohmann/json.hpp>

#include "embedded.hpp"
#include "report/forms.hpp"
#include "report/tables.hpp"

namespace coupon_race {

namespace {

using json = nlohmann::ordered_json;

/// To the microsecond: what is behind it is noise, and makes the page longer.
double rounded(duration value) {
    return milliseconds(std::chrono::microseconds{std::llround(double(value.count()) / 1e3)});
}

/// The outcomes in the order of the legend, and what they are called in any scenario, unless that
/// has a name of its own.
struct outcome_name {
    outcome what;
    const char *key;
    const char *title;
};
constexpr outcome_name outcome_names[] = {{outcome::redeemed, "redeemed", nullptr},
                                          {outcome::refused, "refused", nullptr},
                                          {outcome::rolled_back, "rolled_back", "rolled back"},
                                          {outcome::walked_away, "walked_away", "walked away"},
                                          {outcome::expired, "expired", "confirmed too late"},
                                          {outcome::unknown, "unknown", "never told"},
                                          {outcome::failed, "failed", "error"}};

const char *key_of(outcome what) {
    return std::find_if(std::begin(outcome_names), std::end(outcome_names),
                        [&](const outcome_name &each) { return each.what == what; })
        ->key;
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

json outcomes_of(const scenario &raced) {
    json list;
    for (const outcome_name &each : outcome_names)
        list.push_back({{"key", each.key},
                        {"title", each.title                       ? each.title
                                  : each.what == outcome::redeemed ? raced.redeemed
                                                                   : raced.refused}});
    return list;
}

json attempt_of(const timeline_entry &entry) {
    json object{{"row", entry.row},
                {"user", entry.user},
                {"from", rounded(entry.from)},
                {"held", rounded(entry.held)},
                {"to", rounded(entry.to)},
                {"outcome", key_of(entry.outcome)}};
    if (entry.wrong != excess::none)
        object["excess"] = entry.wrong == excess::double_redemption ? "double redemption"
                           : entry.wrong == excess::over_the_cap    ? "over the cap"
                                                                    : "over the budget";
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
        object["percentiles_ms"] = {{"p50", rounded(latency.p50)},
                                    {"p95", rounded(latency.p95)},
                                    {"p99", rounded(latency.p99)}};
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
                {"since", rounded(shown.since)},
                {"rows", shown.rows},
                {"attempts", json::array()},
                {"latency", latency_of(strategy, scale)},
                {"sales", json::array()}};
    for (const timeline_entry &entry : shown.entries)
        object["attempts"].push_back(attempt_of(entry));
    for (const sale_point &each : strategy.picture.sales)
        object["sales"].push_back({rounded(each.after), each.sold});
    return object;
}

json summary_of(const table &rows) {
    json object{{"head", json::array()}, {"rows", json::array()}};
    for (std::size_t at = 0; at < rows.size(); ++at) {
        json cells = json::array();
        for (const cell &each : rows[at])
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

/// What a sale is limited by, and what the axis of its sales shows.
json limit_of(const race_settings &of) {
    if (of.budget > 0)
        return {{"most", of.budget}, {"name", "the budget"}, {"sold", "amount redeemed"}};
    if (of.cap > 0)
        return {{"most", of.cap}, {"name", "the cap"}, {"sold", "units sold"}};
    return nullptr;
}

json page_data(const race_report &report) {
    const table summary = summary_table(report);
    const latency_scale scale = latency_scale_of(report);
    json object{{"version", COUPON_GUARD_VERSION},
                {"scenario", report.raced->name},
                {"scene", report.raced->scene(report.settings)},
                {"server", server_text(report.server)},
                {"started_at", report.started_at},
                {"seed", std::to_string(report.seed)}, // a script's numbers have 53 bits
                {"conclusions", lines_of(conclusions(report))},
                {"summary", summary_of(summary)},
                {"outcomes", outcomes_of(*report.raced)},
                {"limit", limit_of(report.settings)},
                {"latency_edges_ms", json::array()},
                {"strategies", json::array()}};
    for (int bucket = 0; scale.buckets > 0 && bucket <= scale.buckets; ++bucket)
        object["latency_edges_ms"].push_back(rounded(scale.edge(bucket)));
    for (std::size_t at = 0; at < report.strategies.size(); ++at)
        object["strategies"].push_back(
            strategy_of(report.strategies[at], summary[at + 1].back(), scale));
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
    std::string page = embedded("page.html");
    page.replace(page.find(page_data_mark), page_data_mark.size(),
                 for_a_script_element(page_data(report)));
    return page;
}

} // namespace coupon_race
