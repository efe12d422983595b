#include "report/seen_attempt.hpp"

#include <algorithm>
#include <unordered_map>

namespace coupon_race {

namespace {

using rows_of_users = std::unordered_map<std::int64_t, std::int64_t>;

outcome outcome_of(const logged_attempt &made) {
    switch (made.result.answer) {
    case answer::redeemed:
        return outcome::redeemed;
    case answer::refused:
        return outcome::refused;
    case answer::unknown:
        return outcome::unknown;
    case answer::failed:
        break;
    }
    return outcome::failed;
}

outcome outcome_of(const purchase &made) {
    return made.rolled_back ? outcome::rolled_back
                            : outcome_of(static_cast<const logged_attempt &>(made));
}

outcome outcome_of(const visit &made) {
    if (made.walked_away)
        return outcome::walked_away;
    return made.expired ? outcome::expired : outcome_of(static_cast<const logged_attempt &>(made));
}

template <typename Attempt>
std::vector<seen_attempt> seen_all(const std::vector<Attempt> &log) {
    std::vector<seen_attempt> attempts;
    attempts.reserve(log.size());
    for (const Attempt &made : log) {
        seen_attempt attempt;
        attempt.made = &made;
        attempt.outcome = outcome_of(made);
        attempts.push_back(attempt);
    }
    return attempts;
}

/// Returns how many rows of each user are left.
rows_of_users give_rows(std::vector<seen_attempt> &attempts,
                        const std::vector<ledger_row> &ledger) {
    std::unordered_map<std::int64_t, std::int64_t> owner_of_row;
    rows_of_users left;
    for (const ledger_row &row : ledger) {
        owner_of_row.emplace(row.redemption_id, row.user);
        ++left[row.user];
    }
    for (seen_attempt &attempt : attempts) {
        const std::optional<std::int64_t> told = attempt.made->result.redemption_id;
        if (attempt.outcome != outcome::redeemed || !told)
            continue;
        const auto row = owner_of_row.find(*told);
        if (row == owner_of_row.end() || row->second != attempt.made->user)
            continue;
        attempt.in_ledger = true;
        --left[row->second];
        owner_of_row.erase(row);
    }
    for (seen_attempt &attempt : attempts) {
        if (attempt.outcome != outcome::unknown)
            continue;
        const auto rows = left.find(attempt.made->user);
        attempt.in_ledger = rows != left.end() && rows->second-- > 0;
    }
    return left;
}

} // namespace

std::vector<seen_attempt> seen(const race_log &log) {
    return seen_all(log);
}

std::vector<seen_attempt> seen(const drop_log &log) {
    return seen_all(log);
}

std::vector<seen_attempt> seen(const checkout_log &log) {
    std::vector<seen_attempt> attempts = seen_all(log);
    for (std::size_t at = 0; at < log.size(); ++at)
        attempts[at].until_held = log[at].until_held;
    return attempts;
}

void compare_with_ledger(std::vector<seen_attempt> &attempts, const std::vector<ledger_row> &ledger,
                         std::optional<std::int64_t> cap) {
    rows_of_users unowned = give_rows(attempts, ledger);
    std::vector<seen_attempt *> by_answer;
    for (seen_attempt &attempt : attempts)
        if (attempt.in_ledger)
            by_answer.push_back(&attempt);
    std::stable_sort(by_answer.begin(), by_answer.end(), [](const auto *one, const auto *other) {
        return one->made->ended < other->made->ended;
    });
    rows_of_users before;
    std::int64_t sold = 0;
    for (seen_attempt *attempt : by_answer) {
        const std::int64_t user = attempt->made->user;
        // A row that nobody can have made counts against the first of its user who can be shown.
        const bool second = before[user]++ > 0 || unowned[user]-- > 0;
        if (second)
            attempt->wrong = excess::double_redemption;
        else if (cap && sold >= *cap)
            attempt->wrong = excess::over_the_cap;
        ++sold;
    }
}

} // namespace coupon_race
