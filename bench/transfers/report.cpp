#include "report.hpp"

#include <algorithm>
#include <cstdio>

namespace transfers {
namespace {

/// In milliseconds; 0 of nothing.
double quantile(std::vector<float> &of, double which) {
    if (of.empty())
        return 0;
    auto at = static_cast<std::size_t>(which * static_cast<double>(of.size()));
    auto found = of.begin() + static_cast<std::ptrdiff_t>(std::min(at, of.size() - 1));
    std::nth_element(of.begin(), found, of.end());
    return 1000.0 * static_cast<double>(*found);
}

struct bar {
    std::string name;
    double length;
};

// GitHub draws it. An axis without a range would begin at the shortest bar.
void print_chart(const std::string &title, const std::string &unit, const std::vector<bar> &bars,
                 int decimals) {
    std::string names;
    std::string lengths;
    double longest = 0;
    for (const bar &each : bars) {
        char length[32];
        std::snprintf(length, sizeof length, "%.*f", decimals, each.length);
        names += (names.empty() ? "\"" : ", \"") + each.name + "\"";
        lengths += (lengths.empty() ? "" : ", ") + std::string(length);
        longest = std::max(longest, each.length);
    }
    std::printf(
        "\n```mermaid\n%%%%{init: {\"themeVariables\": {\"xyChart\": {\"plotColorPalette\": "
        "\"#4c78a8\"}}}}%%%%\nxychart-beta horizontal\n    title \"%s\"\n    x-axis [%s]\n"
        "    y-axis \"%s\" 0 --> %.*f\n    bar [%s]\n```\n",
        title.c_str(), names.c_str(), unit.c_str(), decimals, longest, lengths.c_str());
}

} // namespace

void print_heading() {
    std::puts(
        "| buyers | rule | sold | refused while a unit was left | transfers | questions | last "
        "unit, s | waited for units | p50, ms | p99, ms | longest, ms | refused after, p50, ms "
        "| longest, ms |\n"
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |");
}

void print_row(sale &of) {
    result &came = of.came;
    std::printf("| %s | %s | %lld | %lld | %lld | %lld | %.2f | %lld | %.0f | %.0f | %.0f | %.0f | "
                "%.0f |\n",
                of.buyers.c_str(), of.rule.c_str(), static_cast<long long>(came.sold),
                static_cast<long long>(came.refused_wrongly),
                static_cast<long long>(came.transfers), static_cast<long long>(came.questions),
                came.last_unit, static_cast<long long>(came.waited), quantile(came.waits, 0.5),
                quantile(came.waits, 0.99), quantile(came.waits, 1),
                quantile(came.refusal_waits, 0.5), quantile(came.refusal_waits, 1));
    std::fflush(stdout);
}

void print_charts(const std::vector<sale> &sales, const std::string &buyers, seconds alone) {
    std::vector<bar> late;
    std::vector<bar> moved;
    for (const sale &each : sales)
        if (each.buyers == buyers) {
            late.push_back({each.rule, each.came.last_unit - alone});
            moved.push_back({each.rule, static_cast<double>(each.came.transfers)});
        }
    print_chart(buyers + ": the last unit, later than on one server", "seconds", late, 2);
    print_chart(buyers + ": how often units move", "transfers", moved, 0);
}

} // namespace transfers
