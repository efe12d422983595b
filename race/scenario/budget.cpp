/// The scenario `budget`: a coupon with a budget, many buyers at once, each of whom wants an amount
/// of it, whole; together they want more than there is. Some roll back after they have redeemed.

#include <algorithm>
#include <string>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "scenario/sale.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

using amounts = std::unordered_map<std::int64_t, std::int64_t>;

amounts amounts_by_user(const std::vector<ledger_row> &ledger) {
    amounts found;
    for (const ledger_row &row : ledger)
        found[row.user] += row.amount;
    return found;
}

std::int64_t spent(const std::vector<ledger_row> &ledger) {
    std::int64_t sum = 0;
    for (const ledger_row &row : ledger)
        sum += row.amount;
    return sum;
}

/// Rows that are worth something else than their buyer wanted.
std::int64_t wrong_amounts(const race_result &result) {
    amounts asked;
    for (const attempt &made : result.log)
        asked[made.user] = made.amount;
    return std::count_if(result.ledger.begin(), result.ledger.end(), [&](const ledger_row &row) {
        return asked.count(row.user) > 0 && asked[row.user] != row.amount;
    });
}

class budget : public sale {
  public:
    budget() {
        name = "budget";
        redeemed = "redeemed";
        refused = "refused";
        defaults.buyers = 1000;
        defaults.budget = 1'000'000;
        defaults.max_amount = 5000;
        settings.insert(settings.end(), {{"budget", &race_settings::budget},
                                         {"max_amount", &race_settings::max_amount},
                                         {"rollback_rate", &race_settings::rollback_rate},
                                         {"hold_time_ms", &race_settings::hold_time}});
        const bool promises_nothing = false;
        strategies.push_back(std::make_unique<strategy>("budget/naive", promises_nothing));
        for (const char *each : {"balance", "for-update", "serializable"})
            strategies.push_back(std::make_unique<strategy>(std::string{"budget/"} + each));
        strategies.push_back(std::make_unique<guarded_strategy>(
            "redeem_coupon(user, code, amount, request_id)", false));
    }

    /// - overspent: amounts in the ledger beyond the budget
    /// - false refusals: false_refusals()
    /// - wrong amounts: rows of another amount than was asked for
    /// - double redemptions, lost, unasked, broken invariants: as for a drop
    judgement judge(const race_result &result, const race_settings &of,
                    bool promises_to_keep_it) const override {
        return judged_sale(
            result,
            {{"overspent", "overspent", std::max<std::int64_t>(0, spent(result.ledger) - of.budget),
              promises_to_keep_it, true},
             {"false_refusals", "false refusals",
              false_refusals(result.log, result.ledger, of.budget), true, true},
             {"wrong_amounts", "wrong amounts", wrong_amounts(result)}});
    }
    std::vector<measure> measures(const race_result &result, const race_settings &of,
                                  const judgement &) const override {
        const auto rolled_back =
            std::count_if(result.log.begin(), result.log.end(),
                          [](const attempt &made) { return made.outcome == outcome::rolled_back; });
        const std::int64_t amount = spent(result.ledger);
        const auto buyers = std::max<std::int64_t>(1, std::int64_t(result.log.size()));
        return {{"rolled_back", "", rolled_back, {}},
                {"spent", "", amount, {}},
                {"left_unspent", "left unspent", std::max<std::int64_t>(0, of.budget - amount), {}},
                {"wait_ms", "wait", {}, result.blocked / buyers}};
    }

    std::string scene(const race_settings &of) const override {
        std::string text = fmt::format("{} buyers want 1 to {} each of a budget of {}, {} at once",
                                       of.buyers, of.max_amount, of.budget, of.clients);
        if (of.hold_time.count() > 0)
            text += fmt::format("; {} from redemption to commit", duration_text(of.hold_time));
        if (of.rollback_rate > 0)
            text += fmt::format("; {:g}% roll back", of.rollback_rate * 100);
        return text;
    }
    std::string kept(const race_settings &) const override {
        return "never more than the budget, nobody refused who could have had the amount.";
    }
    std::string as_feared(const judgement &judged, const race_settings &of) const override {
        return fmt::format("{} more than the budget of {} was given away.",
                           judged.findings.front().count, of.budget);
    }
    std::string luck(const race_settings &) const override {
        return "the budget was kept this time. That was luck, not safety: a longer --hold-time or "
               "more --clients would show it.";
    }

  protected:
    void race(const turn &of, race_result &result) const override {
        lock_watch watch{of.connection, result.blocked};
        const auto serve = [&](session &client, const starting_gate &, std::int64_t user,
                               const std::string &code) {
            request asked{user, code, "buyer-" + std::to_string(user)};
            asked.amount = user > 0 ? amount_of(of.settings, of.seed, user) : 1;
            return make_attempt(client, asked, user < 0 || rolls_back(of.settings, of.seed, user),
                                of.settings.hold_time);
        };
        result.log = serve_all(of, conduct{true, false}, serve);
        watch.stop();
    }
};

} // namespace

/// Drawn apart from what else is drawn for the buyer: who asks for much rolls back as often as all.
std::int64_t amount_of(const race_settings &settings, std::uint64_t seed, std::int64_t buyer) {
    const auto most = static_cast<double>(settings.max_amount);
    return std::min(settings.max_amount,
                    1 + static_cast<std::int64_t>(drawn_for(~seed, buyer) * most));
}

bool rolls_back(const race_settings &settings, std::uint64_t seed, std::int64_t buyer) {
    return drawn_for(seed, buyer) < settings.rollback_rate;
}

std::int64_t false_refusals(const race_log &log, const std::vector<ledger_row> &ledger,
                            std::int64_t budget) {
    const amounts redeemed = amounts_by_user(ledger);
    std::vector<std::pair<race_clock::time_point, std::int64_t>> commits;
    for (const attempt &made : log)
        if (const auto row = redeemed.find(made.user); made.commit_sent && row != redeemed.end())
            commits.emplace_back(*made.commit_sent, row->second);
    std::sort(commits.begin(), commits.end());
    std::vector<const attempt *> refused;
    for (const attempt &made : log)
        if (made.outcome == outcome::refused)
            refused.push_back(&made);
    std::sort(refused.begin(), refused.end(),
              [](const attempt *one, const attempt *other) { return one->ended < other->ended; });
    std::int64_t count = 0;
    std::int64_t sent = 0;
    auto next = commits.begin();
    for (const attempt *made : refused) {
        for (; next != commits.end() && next->first < made->ended; ++next)
            sent += next->second;
        count += sent + made->amount <= budget;
    }
    return count;
}

std::unique_ptr<scenario> make_budget() {
    return std::make_unique<budget>();
}

} // namespace coupon_race
