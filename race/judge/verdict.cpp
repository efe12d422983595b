#include "judge/verdict.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

namespace coupon_race {

namespace {

/// One user's rows and answers.
struct account_of_user {
    std::int64_t rows = 0;
    std::int64_t acknowledged = 0; ///< with a row of its own
    std::int64_t refused = 0;
    std::int64_t unknown = 0;
    std::int64_t asked = 0;
};

struct tally {
    std::map<std::int64_t, account_of_user> users;
    std::int64_t lost = 0;
    std::int64_t failed = 0;
    std::string first_error;
};

tally tally_up(const race_log &log, const std::vector<ledger_row> &ledger) {
    tally counted;
    std::unordered_map<std::int64_t, std::int64_t> owner_of_unclaimed_row;
    for (const ledger_row &row : ledger) {
        owner_of_unclaimed_row.emplace(row.redemption_id, row.user);
        ++counted.users[row.user].rows;
    }
    for (const logged_attempt &request : log) {
        account_of_user &user = counted.users[request.user];
        ++user.asked;
        switch (request.result.answer) {
        case answer::redeemed: {
            const auto row = request.result.redemption_id
                                 ? owner_of_unclaimed_row.find(*request.result.redemption_id)
                                 : owner_of_unclaimed_row.end();
            if (row == owner_of_unclaimed_row.end() || row->second != request.user) {
                ++counted.lost;
            } else {
                ++user.acknowledged;
                owner_of_unclaimed_row.erase(row); // a second claim to it is a lost redemption
            }
            break;
        }
        case answer::refused:
            ++user.refused;
            break;
        case answer::unknown:
            ++user.unknown;
            break;
        case answer::failed:
            if (counted.failed++ == 0)
                counted.first_error = request.result.error;
            break;
        }
    }
    return counted;
}

std::string times(std::int64_t count, const char *thing) {
    return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

/// Empty if the race was run as described.
std::string reason_for_doubt(std::int64_t requests, std::int64_t failed,
                             const std::string &first_error) {
    if (requests == 0)
        return "no request was made";
    if (failed > 0)
        return times(failed, "request") + " ended in an error, the first: " + first_error;
    return "";
}

} // namespace

judgement judge_double_click(const race_log &log, const std::vector<ledger_row> &ledger,
                             bool promises_once_per_user) {
    const tally counted = tally_up(log, ledger);
    judgement judged;
    judged.redeemed = static_cast<std::int64_t>(ledger.size());
    std::int64_t doubles = 0;
    std::int64_t unasked = 0;
    std::int64_t refused_for_nothing = 0;
    for (const auto &[id, user] : counted.users) {
        doubles += std::max<std::int64_t>(0, user.rows - 1);
        judged.users_redeemed_twice += user.rows > 1;
        unasked += std::max<std::int64_t>(0, user.rows - user.acknowledged - user.unknown);
        refused_for_nothing += user.rows == 0 && user.asked > 0 && user.refused == user.asked;
    }
    judged.findings = {
        {"double_redemptions", "double redemptions", doubles, promises_once_per_user, true},
        {"lost", "acknowledged but lost", counted.lost},
        {"unasked", "nobody asked for", unasked},
        {"refused_for_nothing", "refused for nothing", refused_for_nothing},
    };
    conclude(judged, static_cast<std::int64_t>(log.size()), counted.failed, counted.first_error);
    return judged;
}

void conclude(judgement &judged, std::int64_t requests, std::int64_t failed,
              const std::string &first_error) {
    const auto broken = [](const finding &f) { return f.count > 0; };
    const auto broken_promise = [](const finding &f) { return f.count > 0 && f.promised; };
    const auto &all = judged.findings;
    judged.reason = reason_for_doubt(requests, failed, first_error);
    if (std::any_of(all.begin(), all.end(), broken)) {
        judged.verdict = verdict::fail;
        judged.failure_expected = std::none_of(all.begin(), all.end(), broken_promise);
    } else {
        judged.verdict = judged.reason.empty() ? verdict::pass : verdict::unknown;
    }
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
