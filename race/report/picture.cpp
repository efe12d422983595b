#include "report/picture.hpp"

#include <algorithm>

#include "judge/verdict.hpp"

namespace coupon_race {

namespace {

constexpr std::size_t most_sales = 200;

/// Marks what is too much.
void mark_excess(std::vector<seen_attempt> &attempts, claims &rows, std::int64_t cap) {
    std::vector<seen_attempt *> by_answer;
    for (seen_attempt &each : attempts)
        if (each.in_ledger)
            by_answer.push_back(&each);
    std::stable_sort(by_answer.begin(), by_answer.end(), [](const auto *one, const auto *other) {
        return answered_before(*one, *other);
    });
    std::unordered_map<std::int64_t, std::int64_t> before;
    std::int64_t sold = 0;
    for (seen_attempt *each : by_answer) {
        const std::int64_t user = each->made->user;
        // A row that nobody can have made counts against the first of its user who can be shown.
        if (before[user]++ > 0 || rows.unclaimed[user]-- > 0)
            each->wrong = excess::double_redemption;
        else if (cap > 0 && sold >= cap)
            each->wrong = excess::over_the_cap;
        ++sold;
    }
}

/// The rows of the ledger belong to those who were told of them, then to those who were never told.
/// Too much is, of each user, every row but the one whose owner was answered first; of a coupon
/// with a cap, those whose owners were answered when it was sold out by the answers before.
std::vector<seen_attempt> seen(const race_log &log, const std::vector<ledger_row> &ledger,
                               std::int64_t cap) {
    claims rows = claims_of(log, ledger);
    std::vector<seen_attempt> attempts;
    attempts.reserve(log.size());
    for (std::size_t at = 0; at < log.size(); ++at) {
        bool in_ledger = rows.kept[at];
        if (log[at].outcome == outcome::unknown) {
            const auto left = rows.unclaimed.find(log[at].user);
            in_ledger = left != rows.unclaimed.end() && left->second-- > 0;
        }
        attempts.push_back({&log[at], in_ledger, excess::none});
    }
    mark_excess(attempts, rows, cap);
    return attempts;
}

/// The moments of the answers, those of the sales first and last among them.
std::vector<sale_point> sales_of(const std::vector<seen_attempt> &attempts) {
    std::vector<race_clock::time_point> moments;
    for (const seen_attempt &each : attempts)
        if (each.in_ledger)
            moments.push_back(each.made->ended);
    std::sort(moments.begin(), moments.end());
    const race_clock::time_point beginning = beginning_of(attempts);
    const std::size_t step = std::max<std::size_t>(1, moments.size() / most_sales);
    std::vector<sale_point> sales;
    for (std::size_t at = 0; at < moments.size(); ++at)
        if (at % step == 0 || at + 1 == moments.size())
            sales.push_back({moments[at] - beginning, static_cast<std::int64_t>(at) + 1});
    return sales;
}

} // namespace

picture picture_of(const race_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap) {
    const std::vector<seen_attempt> attempts = seen(log, ledger, cap);
    picture shown;
    shown.timeline = cap > 0 ? timeline_of_clients(attempts, cap) : timeline_of_rounds(attempts);
    if (cap > 0)
        shown.sales = sales_of(attempts);
    for (const attempt &made : log)
        shown.latency[made.outcome].add(made.ended - made.started);
    return shown;
}

} // namespace coupon_race
