#include "judge/drop_verdict.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace coupon_race {

namespace {

std::int64_t beyond_the_first(const std::vector<ledger_row> &ledger) {
    std::unordered_set<std::int64_t> users;
    for (const ledger_row &row : ledger)
        users.insert(row.user);
    return static_cast<std::int64_t>(ledger.size() - users.size());
}

bool may_have_a_row(const purchase &made) {
    return !made.rolled_back &&
           (made.result.answer == answer::redeemed || made.result.answer == answer::unknown);
}

} // namespace

std::int64_t false_sold_outs(const drop_log &log, const std::vector<ledger_row> &ledger,
                             std::int64_t cap) {
    std::unordered_set<std::int64_t> buyers_with_a_row;
    for (const ledger_row &row : ledger)
        buyers_with_a_row.insert(row.user);
    std::vector<race_clock::time_point> commits;
    for (const purchase &made : log)
        if (made.commit_sent && buyers_with_a_row.count(made.user) > 0)
            commits.push_back(*made.commit_sent);
    std::sort(commits.begin(), commits.end());
    std::int64_t count = 0;
    for (const purchase &made : log) {
        if (made.rolled_back || made.result.answer != answer::refused)
            continue;
        const auto sent_before = std::lower_bound(commits.begin(), commits.end(), made.ended);
        count += sent_before - commits.begin() < cap;
    }
    return count;
}

judgement judge_drop(const drop_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap,
                     std::int64_t broken_invariants) {
    std::unordered_map<std::int64_t, std::int64_t> owner_of_row;
    for (const ledger_row &row : ledger)
        owner_of_row.emplace(row.redemption_id, row.user);
    std::unordered_set<std::int64_t> entitled;
    std::int64_t lost = 0;
    std::int64_t failed = 0;
    std::string first_error;
    for (const purchase &made : log) {
        if (may_have_a_row(made))
            entitled.insert(made.user);
        if (made.rolled_back)
            continue;
        if (made.result.answer == answer::redeemed) {
            const auto row = owner_of_row.find(made.result.redemption_id.value_or(0));
            lost += row == owner_of_row.end() || row->second != made.user;
        }
        if (made.result.answer == answer::failed && failed++ == 0)
            first_error = made.result.error;
    }
    std::int64_t unasked = 0;
    for (const ledger_row &row : ledger)
        unasked += entitled.count(row.user) == 0;
    judgement judged;
    judged.redeemed = static_cast<std::int64_t>(ledger.size());
    judged.findings = {
        {"over_the_cap", "over the cap", std::max<std::int64_t>(0, judged.redeemed - cap), true,
         true},
        {"false_sold_outs", "false sold-outs", false_sold_outs(log, ledger, cap), true, true},
        {"double_redemptions", "double redemptions", beyond_the_first(ledger)},
        {"lost", "acknowledged but lost", lost},
        {"unasked", "nobody asked for", unasked},
        {"broken_invariants", "broken invariants", broken_invariants},
    };
    conclude(judged, static_cast<std::int64_t>(log.size()), failed, first_error);
    return judged;
}

} // namespace coupon_race
