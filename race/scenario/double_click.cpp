/// The scenario `double-click`: one user sends the same request several times at once.

#include <thread>

#include <fmt/format.h>

#include "scenario/clients.hpp"
#include "scenario/scenario.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

attempt redeem(session &client, std::int64_t user, const std::string &code,
               const std::function<void()> &think) {
    const request asked{user, code, "", {}, think};
    attempt made;
    made.user = user;
    made.started = race_clock::now();
    std::optional<std::int64_t> got;
    if (client.transact_until_told(made, [&](auto &transaction) {
            got = client.raced().take(transaction, asked);
            return got.has_value();
        })) {
        made.outcome = got ? outcome::redeemed : outcome::refused;
        made.redemption_id = got;
    }
    made.ended = race_clock::now();
    return made;
}

class double_click : public scenario {
  public:
    double_click() {
        name = "double-click";
        attempts = "attempts";
        redeemed = "redeemed";
        refused = "already redeemed";
        defaults.clients = 2;
        settings = {{"clients", &race_settings::clients},
                    {"rounds", &race_settings::rounds},
                    {"think_time_ms", &race_settings::think_time}};
        const bool promises_nothing = false;
        strategies.push_back(std::make_unique<strategy>("double-click/naive", promises_nothing));
        for (const char *each : {"serializable", "for-update", "unique"})
            strategies.push_back(std::make_unique<strategy>(std::string{"double-click/"} + each));
        strategies.push_back(std::make_unique<guarded_strategy>(
            "SELECT redeem_coupon(user, code): the extension coupon_guard", true));
    }

    /// - double redemptions: rows beyond the first of each user
    /// - lost: acknowledged redemptions whose row is not there, or was acknowledged to another
    ///   request
    /// - unasked: rows nobody was told of and no unknown outcome accounts for
    /// - refused for nothing: users who have no row though every request of theirs was refused
    judgement judge(const race_result &result, const race_settings &,
                    bool promises_once_per_user) const override {
        const tally counted = count(result);
        return concluded(
            {{"double_redemptions", "double redemptions", counted.double_redemptions,
              promises_once_per_user, true},
             {"lost", "acknowledged but lost", counted.lost},
             {"unasked", "nobody asked for", counted.unaccounted},
             {"refused_for_nothing", "refused for nothing", counted.refused_for_nothing}},
            counted);
    }
    std::vector<measure> measures(const race_result &, const race_settings &,
                                  const judgement &judged) const override {
        return {{"users_redeemed_twice", "", judged.users_redeemed_twice, {}}};
    }

    std::string scene(const race_settings &of) const override {
        std::string text =
            fmt::format("{} users, each sends {} requests at once", of.rounds, of.clients);
        if (of.think_time.count() > 0)
            text += fmt::format("; {} between look and write", duration_text(of.think_time));
        return text;
    }
    std::string kept(const race_settings &of) const override {
        return fmt::format("one redemption for each of {}, none lost, nobody refused for nothing.",
                           counted_text(of.rounds, "user"));
    }
    std::string as_feared(const judgement &judged, const race_settings &of) const override {
        return fmt::format("{} of {} got the coupon more than once ({} too many).",
                           judged.users_redeemed_twice, counted_text(of.rounds, "user"),
                           counted_text(judged.findings.front().count, "redemption"));
    }
    std::string luck(const race_settings &of) const override {
        return fmt::format("no double redemption was seen this time. That was luck, not safety: "
                           "--think-time {} or more --clients would show it.",
                           of.think_time.count() / 1000 + 5);
    }

  protected:
    /// All clients keep step: a round is a user, whose requests are let go together.
    void race(const turn &of, race_result &result) const override {
        std::function<void()> think = of.settings.think;
        if (!think)
            think = [time = of.settings.think_time] {
                if (time.count() > 0)
                    std::this_thread::sleep_for(time);
            };
        const std::int64_t rounds = of.settings.rounds;
        const auto all_rounds = [&](int client, starting_gate &gate) {
            session own{of.raced, of.connection, of.seed + static_cast<std::uint64_t>(client),
                        conduct{false, true}};
            redeem(own, -1 - client, warm_up_code, think);
            race_log log;
            log.reserve(static_cast<std::size_t>(rounds));
            for (std::int64_t user = 1; user <= rounds && gate.wait(); ++user) {
                log.push_back(redeem(own, user, raced_code, think));
                log.back().client = client;
            }
            return log;
        };
        result.log = run_crowd(of.settings.clients, all_rounds, [&](const starting_gate &gate) {
            of.progress(fmt::format("round {} of {}", gate.openings(), rounds));
        });
    }
};

} // namespace

std::unique_ptr<scenario> make_double_click() {
    return std::make_unique<double_click>();
}

} // namespace coupon_race
