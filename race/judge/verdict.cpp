#include "judge/verdict.hpp"

#include <algorithm>
#include <utility>

#include "words.hpp"

namespace coupon_race {

namespace {

/// One user's rows and answers.
struct account_of_user {
    std::int64_t asked = 0;
    std::int64_t rows = 0;
    std::int64_t kept = 0; ///< acknowledged, with a row of its own
    std::int64_t acknowledged = 0;
    std::int64_t unknown = 0;
    std::int64_t refused = 0;
};

/// Empty if the race was run as described.
std::string reason_for_doubt(const tally &counted) {
    if (counted.attempts == 0)
        return "no request was made";
    if (counted.failed > 0)
        return counted_text(counted.failed, "request") +
               " ended in an error, the first: " + counted.first_error;
    return "";
}

} // namespace

claims claims_of(const race_log &log, const std::vector<ledger_row> &ledger) {
    claims found;
    std::unordered_map<std::int64_t, std::int64_t> owner_of_row;
    for (const ledger_row &row : ledger) {
        owner_of_row.emplace(row.redemption_id, row.user);
        ++found.unclaimed[row.user];
    }
    for (const attempt &made : log) {
        const auto row = made.outcome == outcome::redeemed && made.redemption_id
                             ? owner_of_row.find(*made.redemption_id)
                             : owner_of_row.end();
        found.kept.push_back(row != owner_of_row.end() && row->second == made.user);
        if (found.kept.back()) {
            --found.unclaimed[made.user];
            owner_of_row.erase(row); // a second claim to it is a lost redemption
        }
    }
    return found;
}

tally count(const race_result &result) {
    tally counted;
    counted.attempts = static_cast<std::int64_t>(result.log.size());
    counted.rows = static_cast<std::int64_t>(result.ledger.size());
    std::unordered_map<std::int64_t, account_of_user> users;
    for (const ledger_row &row : result.ledger)
        ++users[row.user].rows;
    const claims found = claims_of(result.log, result.ledger);
    for (std::size_t at = 0; at < result.log.size(); ++at) {
        const attempt &made = result.log[at];
        account_of_user &user = users[made.user];
        ++user.asked;
        user.kept += found.kept[at];
        user.acknowledged += made.outcome == outcome::redeemed;
        user.unknown += made.outcome == outcome::unknown;
        user.refused += made.outcome == outcome::refused;
        counted.lost += made.outcome == outcome::redeemed && !found.kept[at];
        if (made.outcome == outcome::failed && counted.failed++ == 0)
            counted.first_error = made.error;
    }
    for (const auto &[id, user] : users) {
        counted.double_redemptions += std::max<std::int64_t>(0, user.rows - 1);
        counted.users_redeemed_twice += user.rows > 1;
        counted.unaccounted += std::max<std::int64_t>(0, user.rows - user.kept - user.unknown);
        counted.unentitled += user.acknowledged + user.unknown == 0 ? user.rows : 0;
        counted.refused_for_nothing +=
            user.rows == 0 && user.asked > 0 && user.refused == user.asked;
    }
    return counted;
}

judgement concluded(std::vector<finding> findings, const tally &counted) {
    const auto broken = [](const finding &f) { return f.count > 0; };
    const auto broken_promise = [](const finding &f) { return f.count > 0 && f.promised; };
    judgement judged;
    judged.redeemed = counted.rows;
    judged.users_redeemed_twice = counted.users_redeemed_twice;
    judged.findings = std::move(findings);
    judged.reason = reason_for_doubt(counted);
    const auto &all = judged.findings;
    if (std::any_of(all.begin(), all.end(), broken)) {
        judged.verdict = verdict::fail;
        judged.failure_expected = std::none_of(all.begin(), all.end(), broken_promise);
    } else {
        judged.verdict = judged.reason.empty() ? verdict::pass : verdict::unknown;
    }
    return judged;
}

std::string verdict_text(const judgement &judged, bool promises_once_per_user) {
    switch (judged.verdict) {
    case verdict::pass:
        return promises_once_per_user ? "pass" : "race not seen";
    case verdict::fail:
        return judged.failure_expected ? "FAIL, as expected" : "FAIL";
    case verdict::unknown:
        break;
    }
    return "could not tell";
}

exit_status exit_status_for(const std::vector<judgement> &judgements) {
    exit_status status = as_expected;
    for (const judgement &judged : judgements) {
        if (judged.verdict == verdict::fail && !judged.failure_expected)
            return promise_broken;
        if (judged.verdict == verdict::unknown)
            status = could_not_tell;
    }
    return status;
}

} // namespace coupon_race
