/// The scenario `claim`: a campaign with a code for each user, as long as there are codes; many
/// users at once want theirs. Some ask twice, with two requests under way at once, and some roll
/// back after they have claimed.
///
/// A row of the ledger is a code that has a holder, and the row's id is the code's. So a request
/// that was told of a code keeps it only if the table says so: what two users were told of is the
/// one's whom the table names.

#include <algorithm>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "scenario/sale.hpp"
#include "strategies/claiming.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

constexpr std::int64_t one_in = 5; // of the requests is the second of its user

using holders = std::unordered_map<std::int64_t, std::int64_t>; // of codes

holders holders_of(const std::vector<ledger_row> &ledger) {
    holders found;
    for (const ledger_row &row : ledger)
        found.emplace(row.redemption_id, row.user);
    return found;
}

/// What the answers amount to, beside the table.
struct answers {
    std::int64_t given_to_several = 0; ///< codes that others than their holder were told of, too
    std::int64_t lost = 0;             ///< acknowledged, and the code is nobody's
    std::int64_t forgotten = 0;        ///< refused to users who hold a code
};

answers compare(const race_result &result) {
    const holders holder_of = holders_of(result.ledger);
    std::unordered_set<std::int64_t> with_a_code;
    for (const ledger_row &row : result.ledger)
        with_a_code.insert(row.user);
    std::unordered_set<std::int64_t> shared;
    answers found;
    for (const attempt &made : result.log) {
        if (made.outcome == outcome::refused)
            found.forgotten += static_cast<std::int64_t>(with_a_code.count(made.user));
        if (made.outcome != outcome::redeemed)
            continue;
        const auto holder = holder_of.find(made.redemption_id.value_or(0));
        if (holder == holder_of.end())
            ++found.lost;
        else if (holder->second != made.user)
            shared.insert(holder->first);
    }
    found.given_to_several = static_cast<std::int64_t>(shared.size());
    return found;
}

std::int64_t left_of(const race_settings &of, const race_result &result) {
    return std::max<std::int64_t>(0, of.cap - static_cast<std::int64_t>(result.ledger.size()));
}

class claim : public sale {
  public:
    claim() {
        name = "claim";
        attempts = "requests";
        redeemed = "claimed";
        defaults.buyers = 600;
        defaults.cap = 300;
        defaults.hold_time = std::chrono::milliseconds{5};
        settings.insert(settings.end(), {{"cap", &race_settings::cap},
                                         {"rollback_rate", &race_settings::rollback_rate},
                                         {"hold_time_ms", &race_settings::hold_time}});
        const bool promises_nothing = false; // for-update and skip-locked: not to users
        for (const char *each : {"naive", "for-update", "skip-locked"})
            strategies.push_back(
                std::make_unique<strategy>(std::string{"claim/"} + each, promises_nothing));
        strategies.push_back(std::make_unique<claiming_strategy>());
    }

    /// - given to several: codes that a user was told of, and that are another's
    /// - users with several: users who hold more than one code
    /// - too early: refused_too_early()
    /// - refused to holders: requests that were told sold out, of users who hold a code
    /// - lost: acknowledged claims of codes that are nobody's
    /// - unasked: codes of users who were refused, rolled back or saw an error
    /// - broken invariants: what coupon_guard_verify() tells
    judgement judge(const race_result &result, const race_settings &of,
                    bool promises_it) const override {
        const tally counted = count(result);
        const answers told = compare(result);
        return concluded(
            {{"given_to_several", "given to several", told.given_to_several, promises_it, true},
             {"users_with_several", "users with several", counted.users_redeemed_twice, promises_it,
              true},
             {"too_early", "sold out too early",
              refused_too_early(result.log, result.ledger, of.cap), promises_it, true},
             {"refused_to_holders", "refused to holders", told.forgotten, promises_it},
             {"lost", "acknowledged but lost", told.lost},
             {"unasked", "nobody asked for", counted.unentitled},
             {"broken_invariants", "broken invariants", result.broken_invariants}},
            counted);
    }
    std::vector<measure> measures(const race_result &result, const race_settings &of,
                                  const judgement &) const override {
        const auto rolled_back =
            std::count_if(result.log.begin(), result.log.end(),
                          [](const attempt &made) { return made.outcome == outcome::rolled_back; });
        const auto requests = std::max<std::int64_t>(1, std::int64_t(result.log.size()));
        return {{"rolled_back", "", rolled_back, {}},
                {"left_unclaimed", "left unclaimed", left_of(of, result), {}},
                {"wait_ms", "wait", {}, result.blocked / requests}};
    }

    std::string scene(const race_settings &of) const override {
        std::string text =
            fmt::format("{} requests of {} users for a code each, {} codes, {} at once", of.buyers,
                        of.buyers - of.buyers / one_in, of.cap, of.clients);
        if (of.hold_time.count() > 0)
            text += fmt::format("; {} from claim to commit", duration_text(of.hold_time));
        if (of.rollback_rate > 0)
            text += fmt::format("; {:g}% roll back", of.rollback_rate * 100);
        return text;
    }
    std::string kept(const race_settings &) const override {
        return "every code one user's, every user's code the same when asked again, nobody sent "
               "away while one could come back.";
    }
    std::string as_feared(const judgement &judged, const race_settings &) const override {
        const auto found = [&](std::size_t at) { return judged.findings[at].count; };
        std::vector<std::string> feared;
        if (found(0) > 0)
            feared.push_back(counted_text(found(0), "code") + " given to several users");
        if (found(1) > 0)
            feared.push_back(counted_text(found(1), "user") + " with several codes");
        if (found(2) > 0)
            feared.push_back(counted_text(found(2), "request") +
                             " told sold out while codes could still come back");
        if (found(3) > 0)
            feared.push_back(counted_text(found(3), "request") +
                             " told sold out though the user had a code");
        return fmt::format("{}.", fmt::join(feared, ", "));
    }
    std::string luck(const race_settings &) const override {
        return "every code was one user's, and every user had one. That was luck, not safety: a "
               "longer --hold-time or more --clients would show it.";
    }

  protected:
    void race(const turn &of, race_result &result) const override {
        lock_watch watch{of.connection, result.blocked};
        const auto serve = [&](session &client, const starting_gate &, std::int64_t number,
                               const std::string &campaign) {
            const std::int64_t user = number > 0 ? user_of_request(number) : number;
            return make_attempt(client, {user, campaign, ""},
                                number < 0 || rolls_back(of.settings, of.seed, number),
                                of.settings.hold_time);
        };
        result.log = serve_all(of, conduct{true, false}, serve);
        watch.stop();
    }
};

} // namespace

std::int64_t user_of_request(std::int64_t request) {
    return request % one_in == 0 ? request - 1 : request;
}

std::int64_t refused_too_early(const race_log &log, const std::vector<ledger_row> &ledger,
                               std::int64_t codes) {
    const holders holder_of = holders_of(ledger);
    std::unordered_set<std::int64_t> with_a_code;
    for (const ledger_row &row : ledger)
        with_a_code.insert(row.user);
    std::unordered_map<std::int64_t, race_clock::time_point> sent_for; // each code that was told
    std::vector<race_clock::time_point> commits;
    for (const attempt &made : log) {
        if (!made.commit_sent)
            continue;
        const auto holder = holder_of.find(made.redemption_id.value_or(0));
        if (holder != holder_of.end() && holder->second == made.user) {
            const auto sent = sent_for.emplace(holder->first, *made.commit_sent).first;
            sent->second = std::min(sent->second, *made.commit_sent);
        } else if (made.outcome == outcome::unknown && with_a_code.count(made.user) > 0) {
            commits.push_back(*made.commit_sent);
        }
    }
    for (const auto &each : sent_for)
        commits.push_back(each.second);
    std::sort(commits.begin(), commits.end());
    return std::count_if(log.begin(), log.end(), [&](const attempt &made) {
        const auto sent_before = std::lower_bound(commits.begin(), commits.end(), made.ended);
        return made.outcome == outcome::refused && sent_before - commits.begin() < codes;
    });
}

std::unique_ptr<scenario> make_claim() {
    return std::make_unique<claim>();
}

} // namespace coupon_race
