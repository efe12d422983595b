/// The scenario `checkout`: a unit is held while its buyer thinks, who then confirms or walks away.
/// What was abandoned is to be sold to somebody else when the hold's time is up.

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "scenario/bystander.hpp"
#include "scenario/sale.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

using namespace std::chrono_literals;

constexpr auto before_coming_again = 5ms;
constexpr auto sweep_interval = 100ms;

void decide(session &client, attempt &made, std::int64_t held, bool leaves,
            std::chrono::microseconds think_time) {
    std::this_thread::sleep_for(think_time);
    bool confirmed = false;
    if (leaves)
        made.outcome = outcome::walked_away;
    else if (client.transact_until_told(made, [&](auto &transaction) {
                 return confirmed = client.raced().confirm(transaction, held);
             }))
        made.outcome = confirmed ? outcome::redeemed : outcome::expired;
    if (confirmed)
        made.redemption_id = held;
}

/// Who finds everything held comes again, through many lives of a hold, each of which may be
/// abandoned in its turn, until there is no hope. What is refused is rolled back: the textbook has
/// written by then.
void visit(session &client, attempt &made, const request &asked, bool leaves,
           const race_settings &of, const std::function<bool()> &all_is_sold) {
    for (;;) {
        std::optional<std::int64_t> held;
        const bool told = client.transact_until_told(made, [&](auto &transaction) {
            held = client.raced().hold(transaction, asked);
            return held.has_value();
        });
        made.until_held = race_clock::now() - made.started;
        if (!told)
            return;
        if (held)
            return decide(client, made, *held, leaves, of.think_time);
        if (all_is_sold() || made.until_held > 20 * of.ttl + of.patience) {
            made.outcome = outcome::refused;
            return;
        }
        std::this_thread::sleep_for(before_coming_again);
    }
}

class checkout : public sale {
  public:
    checkout() {
        name = "checkout";
        redeemed = "confirmed";
        defaults.buyers = 1000;
        defaults.cap = 200;
        defaults.think_time = 20ms;
        settings.insert(settings.end(), {{"cap", &race_settings::cap},
                                         {"walk_away_rate", &race_settings::walk_away_rate},
                                         {"think_time_ms", &race_settings::think_time},
                                         {"ttl_ms", &race_settings::ttl}});
        strategies.push_back(std::make_unique<strategy>("checkout/textbook"));
        strategies.push_back(std::make_unique<guarded_strategy>(
            "hold_coupon(user, code, ttl), then confirm_hold(id); nothing to sweep", false));
    }

    /// By the ledger of confirmed redemptions:
    ///
    /// - over the cap: rows beyond it
    /// - left unsold: units that nobody has confirmed though somebody was sent home without a hold:
    ///   abandoned ones that never came back
    /// - double redemptions, lost, unasked, broken invariants: as for a drop
    judgement judge(const race_result &result, const race_settings &of, bool) const override {
        const auto sent_home =
            std::count_if(result.log.begin(), result.log.end(),
                          [](const attempt &made) { return made.outcome == outcome::refused; });
        const std::int64_t left =
            std::max<std::int64_t>(0, of.cap - std::int64_t(result.ledger.size()));
        return judged_sale(result, {over_the_cap(result, of.cap),
                                    {"left_unsold", "left unsold",
                                     std::min<std::int64_t>(left, sent_home), true, true}});
    }
    std::vector<measure> measures(const race_result &result, const race_settings &,
                                  const judgement &) const override {
        std::int64_t walked_away = 0;
        std::int64_t expired = 0;
        std::int64_t held = 0;
        duration until_held{};
        for (const attempt &made : result.log) {
            walked_away += made.outcome == outcome::walked_away;
            expired += made.outcome == outcome::expired;
            held += had_unit(made.outcome);
            until_held += had_unit(made.outcome) ? made.until_held : duration{};
        }
        return {{"walked_away", "walked away", walked_away, {}},
                {"came_back", "came back", result.came_back, {}},
                {"confirmed_too_late", "", expired, {}},
                {"wait_ms", "wait", {}, until_held / std::max<std::int64_t>(1, held)}};
    }

    std::string scene(const race_settings &of) const override {
        return fmt::format("{} buyers for {} units, {} at once; {} to think, {:g}% walk away; a "
                           "unit is held for {}",
                           of.buyers, of.cap, of.clients, duration_text(of.think_time),
                           of.walk_away_rate * 100, duration_text(of.ttl));
    }
    std::string kept(const race_settings &) const override {
        return "never a unit too many, nobody twice, every abandoned unit sold again.";
    }

  protected:
    void race(const turn &of, race_result &result) const override {
        std::optional<bystander> sweeping;
        if (const std::string sweep = of.raced.sweep(); !sweep.empty())
            sweeping.emplace(of.connection, sweep_interval,
                             [statement = of.raced.greeting() + "; " + sweep](auto &transaction) {
                                 transaction.exec(statement);
                             });
        std::atomic<std::int64_t> confirmed{0};
        const auto serve = [&](session &client, const starting_gate &gate, std::int64_t user,
                               const std::string &code) {
            attempt made;
            made.user = user;
            made.started = race_clock::now();
            const bool leaves = user > 0 && walks_away(of.settings, of.seed, user);
            visit(client, made, {user, code, "", of.settings.ttl}, leaves, of.settings,
                  [&] { return user < 0 || gate.called_off() || confirmed >= of.settings.cap; });
            made.ended = race_clock::now();
            confirmed += user > 0 && made.outcome == outcome::redeemed;
            return made;
        };
        result.log = serve_all(of, conduct{}, serve);
    }
};

} // namespace

bool walks_away(const race_settings &settings, std::uint64_t seed, std::int64_t buyer) {
    return drawn_for(seed, buyer) < settings.walk_away_rate;
}

std::unique_ptr<scenario> make_checkout() {
    return std::make_unique<checkout>();
}

} // namespace coupon_race
