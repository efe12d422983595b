#include "scenario/sale.hpp"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include <fmt/format.h>
#include <pqxx/pqxx>

namespace coupon_race {

sale::sale() {
    attempts = "buyers";
    refused = "sold out";
    settings = {{"clients", &race_settings::clients}, {"buyers", &race_settings::buyers}};
}

race_log sale::serve_all(const turn &of, conduct rules, const serving &serve) {
    return serve_all(of, [&](int client) -> counter {
        const auto own = std::make_shared<session>(
            of.raced, of.connection, of.seed + static_cast<std::uint64_t>(client), rules);
        return [own, &serve](const starting_gate &gate, std::int64_t user,
                             const std::string &code) { return serve(*own, gate, user, code); };
    });
}

race_log sale::serve_all(const turn &of, const std::function<counter(int client)> &open) {
    const std::int64_t buyers = of.settings.buyers;
    const int clients = of.settings.clients;
    std::atomic<std::int64_t> come{0};
    const auto one_after_the_other = [&](int client, starting_gate &gate) {
        race_log log; // hardly any has to move its log in the race
        log.reserve(static_cast<std::size_t>(2 * buyers / clients + 1));
        const counter serve = open(client);
        serve(gate, -1 - client, warm_up_code);
        if (!gate.wait())
            return log;
        while (!gate.called_off()) {
            const std::int64_t buyer = ++come;
            if (buyer > buyers)
                break;
            log.push_back(serve(gate, buyer, raced_code));
            log.back().client = client;
        }
        return log;
    };
    return run_crowd(clients, one_after_the_other, [&](const starting_gate &) {
        of.progress(fmt::format("buyer {} of {}", std::min(come.load(), buyers), buyers));
    });
}

attempt sale::make_attempt(session &client, const request &asked, bool is_rolled_back,
                           std::chrono::microseconds hold_time) {
    attempt made;
    made.user = asked.user;
    made.amount = asked.amount;
    made.started = race_clock::now();
    std::optional<std::int64_t> redemption_id;
    const bool told = client.transact_until_told(made, [&](auto &transaction) {
        redemption_id = client.raced().take(transaction, asked);
        if (!redemption_id)
            return false;
        std::this_thread::sleep_for(hold_time);
        if (is_rolled_back)
            return false;
        if (!made.commit_sent)
            made.commit_sent = race_clock::now();
        return true;
    });
    made.ended = race_clock::now();
    if (told) {
        made.outcome = !redemption_id   ? outcome::refused
                       : is_rolled_back ? outcome::rolled_back
                                        : outcome::redeemed;
        if (made.outcome == outcome::redeemed)
            made.redemption_id = redemption_id;
    }
    return made;
}

judgement sale::judged_sale(const race_result &result, std::vector<finding> own) {
    const tally counted = count(result);
    own.insert(own.end(), {{"double_redemptions", "double redemptions", counted.double_redemptions},
                           {"lost", "acknowledged but lost", counted.lost},
                           {"unasked", "nobody asked for", counted.unentitled},
                           {"broken_invariants", "broken invariants", result.broken_invariants}});
    return concluded(std::move(own), counted);
}

finding sale::over_the_cap(const race_result &result, std::int64_t cap) {
    const auto rows = static_cast<std::int64_t>(result.ledger.size());
    return {"over_the_cap", "over the cap", std::max<std::int64_t>(0, rows - cap), true, true};
}

lock_watch::lock_watch(const std::string &connection, duration &blocked)
    : watching_{connection, std::chrono::milliseconds{5}, [this, &blocked](auto &transaction) {
                    const auto waiting =
                        transaction
                            .exec("SELECT count(*) FROM pg_stat_activity"
                                  " WHERE datname = current_database() AND"
                                  " wait_event_type IN ('Lock', 'Extension')")[0][0]
                            .template as<std::int64_t>();
                    const auto now = race_clock::now();
                    blocked += waiting * (now - looked_);
                    looked_ = now;
                }} {}

double drawn_for(std::uint64_t seed, std::int64_t buyer) {
    std::seed_seq mixed{seed, seed >> 32, static_cast<std::uint64_t>(buyer)};
    std::mt19937_64 random{mixed};
    return std::uniform_real_distribution<double>{0, 1}(random);
}

} // namespace coupon_race
