#include "report/tables.hpp"

#include <gtest/gtest.h>

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

strategy_report measured(const std::string &name, const std::vector<duration> &lengths) {
    strategy_report report;
    report.name = name;
    for (const duration each : lengths)
        report.timing.histogram.add(each);
    report.timing.latency = summarise(lengths);
    return report;
}

race_report report_of(std::vector<strategy_report> strategies) {
    race_report report;
    report.strategies = std::move(strategies);
    return report;
}

/// Eight of a millisecond, four of ten, one of a hundred.
strategy_report falling() {
    return measured("falling",
                    {1ms, 1ms, 1ms, 1ms, 1ms, 1ms, 1ms, 1ms, 10ms, 10ms, 10ms, 10ms, 100ms});
}

TEST(LatencyTable, HasALineAStrategyOnOneScale) {
    const race_report report = report_of({falling(), measured("slow", {100ms})});
    EXPECT_EQ(latency_table(report, charset::utf8, false),
              R"(latency      p50     p95     p99  1 ms        10 ms       100 ms
falling  1.00 ms  100 ms  100 ms  █           ▄           ▁
slow      100 ms  100 ms  100 ms                          █
)");
}

TEST(LatencyTable, IsDrawnInAsciiWhereThereIsNothingElse) {
    EXPECT_EQ(latency_table(report_of({falling()}), charset::ascii, false),
              R"(latency      p50     p95     p99  1 ms        10 ms       100 ms
falling  1.00 ms  100 ms  100 ms  #           =           .
)");
}

TEST(LatencyTable, OneOutlierAmongMillionsIsSeen) {
    std::vector<duration> lengths(100000, 1ms);
    lengths.push_back(80ms);
    const std::string table =
        latency_table(report_of({measured("steady", lengths)}), charset::ascii, false);
    EXPECT_EQ(table[table.size() - 2], '.') << table;
}

TEST(LatencyTable, DecadesThatHaveNoRoomForTheirNamesAreLeftUnnamed) {
    const std::string table =
        latency_table(report_of({measured("wide", {1us, 900s})}), charset::ascii, false);
    EXPECT_EQ(table.substr(0, table.find('\n')),
              "latency   p50    p95    p99  1 us  100 us   100 ms   100 s");
}

TEST(LatencyTable, NothingMeasuredShowsNothing) {
    EXPECT_EQ(latency_table(report_of({}), charset::utf8, false), "");
    EXPECT_EQ(latency_table(report_of({measured("idle", {})}), charset::utf8, false), "");
}

} // namespace
