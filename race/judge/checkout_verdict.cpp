#include "judge/checkout_verdict.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace coupon_race {

judgement judge_checkout(const checkout_log &log, const std::vector<ledger_row> &ledger,
                         std::int64_t cap, std::int64_t broken_invariants) {
    std::unordered_map<std::int64_t, std::int64_t> owner_of_row;
    std::unordered_set<std::int64_t> buyers_with_a_row;
    for (const ledger_row &row : ledger) {
        owner_of_row.emplace(row.redemption_id, row.user);
        buyers_with_a_row.insert(row.user);
    }
    std::unordered_set<std::int64_t> entitled;
    std::int64_t sent_home = 0;
    std::int64_t lost = 0;
    std::int64_t failed = 0;
    std::string first_error;
    for (const visit &made : log) {
        const answer told = made.result.answer;
        if (told == answer::redeemed || told == answer::unknown)
            entitled.insert(made.user);
        if (told == answer::redeemed) {
            const auto row = owner_of_row.find(made.result.redemption_id.value_or(0));
            lost += row == owner_of_row.end() || row->second != made.user;
        }
        sent_home += told == answer::refused && !made.walked_away && !made.expired;
        if (told == answer::failed && failed++ == 0)
            first_error = made.result.error;
    }
    std::int64_t unasked = 0;
    for (const ledger_row &row : ledger)
        unasked += entitled.count(row.user) == 0;
    judgement judged;
    judged.redeemed = static_cast<std::int64_t>(ledger.size());
    const std::int64_t left = std::max<std::int64_t>(0, cap - judged.redeemed);
    judged.findings = {
        {"over_the_cap", "over the cap", std::max<std::int64_t>(0, judged.redeemed - cap), true,
         true},
        {"left_unsold", "left unsold", std::min(left, sent_home), true, true},
        {"double_redemptions", "double redemptions",
         static_cast<std::int64_t>(ledger.size() - buyers_with_a_row.size())},
        {"lost", "acknowledged but lost", lost},
        {"unasked", "nobody asked for", unasked},
        {"broken_invariants", "broken invariants", broken_invariants},
    };
    conclude(judged, static_cast<std::int64_t>(log.size()), failed, first_error);
    return judged;
}

} // namespace coupon_race
