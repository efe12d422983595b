#include "report/picture.hpp"

#include <algorithm>

namespace coupon_race {

namespace {

constexpr std::size_t most_sales = 200;

std::map<outcome, latency_histogram> latency_of(const std::vector<seen_attempt> &attempts) {
    std::map<outcome, latency_histogram> latency;
    for (const seen_attempt &each : attempts)
        latency[each.outcome].add(each.made->ended - each.made->started);
    return latency;
}

/// The moments of the answers, those of the sales first and last among them.
std::vector<sale> sales_of(const std::vector<seen_attempt> &attempts) {
    auto beginning = race_clock::time_point::max();
    std::vector<race_clock::time_point> moments;
    for (const seen_attempt &each : attempts) {
        beginning = std::min(beginning, each.made->started);
        if (each.in_ledger)
            moments.push_back(each.made->ended);
    }
    std::sort(moments.begin(), moments.end());
    const std::size_t step = std::max<std::size_t>(1, moments.size() / most_sales);
    std::vector<sale> sales;
    for (std::size_t at = 0; at < moments.size(); ++at)
        if (at % step == 0 || at + 1 == moments.size())
            sales.push_back({moments[at] - beginning, static_cast<std::int64_t>(at) + 1});
    return sales;
}

template <typename Log>
picture picture_of_sale(const Log &log, const std::vector<ledger_row> &ledger, std::int64_t cap) {
    std::vector<seen_attempt> attempts = seen(log);
    compare_with_ledger(attempts, ledger, cap);
    picture shown;
    shown.timeline = timeline_of_clients(attempts, cap);
    shown.sales = sales_of(attempts);
    shown.latency = latency_of(attempts);
    return shown;
}

} // namespace

picture picture_of(const race_log &log, const std::vector<ledger_row> &ledger) {
    std::vector<seen_attempt> attempts = seen(log);
    compare_with_ledger(attempts, ledger, std::nullopt);
    picture shown;
    shown.timeline = timeline_of_rounds(attempts);
    shown.latency = latency_of(attempts);
    return shown;
}

picture picture_of(const drop_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap) {
    return picture_of_sale(log, ledger, cap);
}

picture picture_of(const checkout_log &log, const std::vector<ledger_row> &ledger,
                   std::int64_t cap) {
    return picture_of_sale(log, ledger, cap);
}

} // namespace coupon_race
