/// The scenario `drop` over shards: its units are divided over servers, of which each has a part of
/// the buyers, and move between them as they are needed. Meanwhile shards crash and come back, and
/// the network between them and the router is cut.
///
/// Half of the buyers redeem through the router, where a redemption is committed when they have the
/// answer. The others go to their own shard, redeem in a transaction of their own there, and ask
/// the router for units, outside of it, when the shard has none left; so does whoever is to roll
/// back. Nobody takes no for an answer from a router that cannot tell, or from a connection that
/// broke: they ask again, under the same request id.

#include <algorithm>
#include <deque>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <pqxx/pqxx>

#include "exit_status.hpp"
#include "place/shard_cluster.hpp"
#include "scenario/sale.hpp"
#include "scenario/shard_faults.hpp"
#include "sql_quoting.hpp"
#include "strategies/sharded.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

constexpr std::int64_t users_at_a_time = 10'000;

/// What a client has open: the router, and each shard.
class sharded_counter {
  public:
    sharded_counter(const turn &of, int client)
        : raced_{static_cast<const sharded_strategy &>(of.raced)}
        , hold_time_{of.settings.hold_time}
        , router_{of.raced, of.connection, seed_of(of, client), rules} {
        for (int number = 0; number < of.shards->size(); ++number)
            shards_.push_back(std::make_unique<session>(
                on_shard_, format_conninfo(of.shards->shard(number)), seed_of(of, client), rules));
    }

    /// One redemption that stays, and one on each shard that does not.
    attempt warm_up(std::int64_t user, const std::string &code) {
        for (std::size_t shard = 0; shard < shards_.size(); ++shard)
            buy_on_shard({user, code, ""}, static_cast<int>(shard), true);
        return buy_from_router({user, code, ""});
    }

    attempt buy_from_router(const request &asked) {
        attempt made = beginning(asked);
        router_.until_told(made, [&] {
            if (!made.commit_sent) // nobody tells when it is: not before this
                made.commit_sent = race_clock::now();
            std::optional<std::int64_t> unit;
            router_.transact([&](pqxx::transaction_base &transaction) {
                unit = raced_.take(transaction, asked);
                return true;
            });
            if (unit)
                std::this_thread::sleep_for(hold_time_);
            made.outcome = unit ? outcome::redeemed : outcome::refused;
            made.redemption_id = unit;
        });
        made.ended = race_clock::now();
        return made;
    }

    attempt buy_on_shard(const request &asked, int shard, bool is_rolled_back) {
        attempt made = beginning(asked);
        session &own = *shards_.at(static_cast<std::size_t>(shard));
        own.until_told(made, [&] {
            while (!try_on_shard(own, made, asked, is_rolled_back))
                if (gather(asked) == 0) {
                    made.outcome = outcome::refused;
                    break;
                }
        });
        made.ended = race_clock::now();
        return made;
    }

  private:
    static constexpr conduct rules{true, false};

    static std::uint64_t seed_of(const turn &of, int client) {
        return of.seed + static_cast<std::uint64_t>(client);
    }

    static attempt beginning(const request &asked) {
        attempt made;
        made.user = asked.user;
        made.started = race_clock::now();
        return made;
    }

    /// False if it hangs on the other shards.
    bool try_on_shard(session &own, attempt &made, const request &asked, bool is_rolled_back) {
        shard_answer got;
        own.transact([&](pqxx::transaction_base &transaction) {
            got = raced_.take_there(transaction, asked);
            if (!got.redemption_id)
                return false;
            std::this_thread::sleep_for(hold_time_);
            if (!is_rolled_back && !made.commit_sent)
                made.commit_sent = race_clock::now();
            return !is_rolled_back;
        });
        if (!got.redemption_id && got.others_may_have_more)
            return false;
        made.outcome = !got.redemption_id ? outcome::refused
                       : is_rolled_back   ? outcome::rolled_back
                                          : outcome::redeemed;
        if (made.outcome == outcome::redeemed)
            made.redemption_id = got.redemption_id;
        return true;
    }

    std::int64_t gather(const request &asked) {
        std::int64_t units = 0;
        router_.transact([&](pqxx::transaction_base &transaction) {
            units = raced_.gather(transaction, asked);
            return true;
        });
        return units;
    }

    const sharded_strategy &raced_;
    const on_shard_strategy on_shard_;
    const std::chrono::microseconds hold_time_;
    session router_;
    std::vector<std::unique_ptr<session>> shards_;
};

/// What the router says of itself and of all shards: as many rows as something is wrong.
std::int64_t complaints(pqxx::transaction_base &router, const std::string &function) {
    return router.exec("SELECT count(*) FROM " + function)[0][0].as<std::int64_t>();
}

class sharded_drop : public sale {
  public:
    sharded_drop() {
        name = "drop";
        redeemed = "sold";
        defaults.buyers = 2000;
        defaults.cap = 500;
        settings = {{"shards", &race_settings::shards},
                    {"clients", &race_settings::clients},
                    {"buyers", &race_settings::buyers},
                    {"cap", &race_settings::cap},
                    {"skew", &race_settings::skew},
                    {"rollback_rate", &race_settings::rollback_rate},
                    {"hold_time_ms", &race_settings::hold_time},
                    {"crash_interval_ms", &race_settings::crash_interval},
                    {"cut_interval_ms", &race_settings::cut_interval}};
        strategies.push_back(std::make_unique<sharded_strategy>());
    }

    void set_up(const turn &of) const override {
        of.shards->create_extensions(of.raced.name());
        pqxx::connection connection{of.connection};
        pqxx::nontransaction router{connection};
        router.exec(of.raced.greeting());
        put_coupon(router, {{"code", raced_code}, {"max_redemptions", of.settings.cap}});
        put_coupon(router, {{"code", warm_up_code}});
    }

    /// - over the cap: rows beyond it, of all ledgers together
    /// - false sold-outs: false_sold_outs()
    /// - double redemptions: rows beyond the first of each buyer, on whatever shards they are
    /// - lost, unasked: as for a drop on one server
    /// - broken invariants: what the router's verify() tells, and each shard's
    /// coupon_guard_verify();
    ///   quota + rows = rights on each shard; rights of all shards = cap when nothing is under way
    judgement judge(const race_result &result, const race_settings &of, bool) const override {
        return judged_sale(result,
                           {over_the_cap(result, of.cap),
                            {"false_sold_outs", "false sold-outs",
                             false_sold_outs(result.log, result.ledger, of.cap), true, true}});
    }

    std::vector<measure> measures(const race_result &result, const race_settings &,
                                  const judgement &) const override {
        std::int64_t rolled_back = 0;
        std::int64_t connections_lost = 0;
        for (const attempt &made : result.log) {
            rolled_back += made.outcome == outcome::rolled_back;
            connections_lost += made.connections_lost;
        }
        return {{"rolled_back", "rolled back", rolled_back, {}},
                {"transfers", "transfers", result.transfers, {}},
                {"crashes", "crashes", result.crashes, {}},
                {"cuts", "cuts", result.cuts, {}},
                {"connections_lost", "lost", connections_lost, {}}};
    }

    std::string scene(const race_settings &of) const override {
        std::string text = fmt::format("{} buyers for {} units on {}, {} at once", of.buyers,
                                       of.cap, counted_text(of.shards, "shard"), of.clients);
        if (of.skew > 0)
            text += fmt::format("; {:g}% of them on one", of.skew * 100);
        if (of.hold_time.count() > 0)
            text += fmt::format("; {} from redemption to commit", duration_text(of.hold_time));
        if (of.rollback_rate > 0)
            text += fmt::format("; {:g}% roll back", of.rollback_rate * 100);
        if (of.crash_interval.count() > 0)
            text += fmt::format("; a crash every {}", duration_text(of.crash_interval));
        if (of.cut_interval.count() > 0)
            text += fmt::format("; a cut every {}", duration_text(of.cut_interval));
        return text;
    }
    std::string kept(const race_settings &) const override {
        return "never a unit too many on all shards together, nobody twice, nobody sent away while "
               "one was left.";
    }

  protected:
    void race(const turn &of, race_result &result) const override {
        const std::vector<sharded_buyer> buyers =
            sharded_buyers(of.settings, of.seed, [&](std::int64_t first, std::int64_t count) {
                return of.shards->shards_of_users(first, count);
            });
        shard_faults faults{
            *of.shards, {of.settings.crash_interval, of.settings.cut_interval}, of.seed};
        turn with_faults = of;
        with_faults.progress = [&](const std::string &how_far) {
            faults.go_on();
            of.progress(how_far);
        };
        result.log = serve_all(with_faults, [&](int client) -> counter {
            const auto own = std::make_shared<sharded_counter>(of, client);
            return [own, &buyers](const starting_gate &, std::int64_t number,
                                  const std::string &code) {
                if (number < 0)
                    return own->warm_up(number, code);
                const sharded_buyer &buyer = buyers[static_cast<std::size_t>(number - 1)];
                const request asked{buyer.user, code, "buyer-" + std::to_string(number)};
                return buyer.direct ? own->buy_on_shard(asked, buyer.shard, buyer.rolls_back)
                                    : own->buy_from_router(asked);
            };
        });
        faults.end();
        result.crashes = faults.crashes();
        result.cuts = faults.cuts();
    }

    /// Twice the router is asked what is wrong: as the race left all, and when what was under way
    /// has arrived.
    void read(const turn &of, race_result &result) const override {
        pqxx::connection connection{of.connection};
        pqxx::nontransaction router{connection};
        router.exec(of.raced.greeting());
        result.broken_invariants = complaints(router, "verify()");
        router.exec("SELECT count(*) FROM rebalance()");
        result.broken_invariants += complaints(router, "verify()");
        std::int64_t rights = 0;
        for (int number = 0; number < of.shards->size(); ++number) {
            const std::string shard = format_conninfo(of.shards->shard(number));
            const std::vector<ledger_row> rows = of.raced.ledger(shard, raced_code);
            result.ledger.insert(result.ledger.end(), rows.begin(), rows.end());
            result.broken_invariants += of.raced.figure(shard, "broken");
            result.broken_invariants += of.raced.figure(shard, "under_way") > 0;
            result.transfers += of.raced.figure(shard, "transfers");
            rights += of.raced.figure(shard, "rights");
        }
        result.broken_invariants += rights != of.settings.cap;
    }

  private:
    static void put_coupon(pqxx::transaction_base &router, const nlohmann::json &coupon) {
        for (const auto &row : router.exec("SELECT shard, is_done, message FROM put_coupon(" +
                                           coupon_guard::quote_literal(coupon.dump()) + ")"))
            if (!row["is_done"].as<bool>())
                throw setup_error{fmt::format("the coupon could not be made on {}: {}",
                                              row["shard"].c_str(), row["message"].c_str())};
    }
};

} // namespace

std::vector<sharded_buyer>
sharded_buyers(const race_settings &settings, std::uint64_t seed,
               const std::function<std::vector<int>(std::int64_t first, std::int64_t count)>
                   &shards_of_users) {
    // Drawn apart from what else is drawn for the buyer: all kinds are among those of every shard.
    const std::uint64_t seed_of_shards = ~seed;
    const std::uint64_t seed_of_ways = seed ^ 0x5555'5555'5555'5555;
    std::vector<std::deque<std::int64_t>> users(static_cast<std::size_t>(settings.shards));
    std::int64_t next = 1;
    const auto user_on = [&](std::size_t shard) {
        while (users[shard].empty()) {
            for (const int each : shards_of_users(next, users_at_a_time))
                users[static_cast<std::size_t>(each)].push_back(next++);
        }
        const std::int64_t user = users[shard].front();
        users[shard].pop_front();
        return user;
    };
    const auto last = users.size() - 1;
    const auto evenly = [](double drawn, std::size_t over) {
        return std::min(over - 1, static_cast<std::size_t>(drawn * static_cast<double>(over)));
    };
    std::vector<sharded_buyer> buyers;
    buyers.reserve(static_cast<std::size_t>(settings.buyers));
    for (std::int64_t buyer = 1; buyer <= settings.buyers; ++buyer) {
        const double drawn = drawn_for(seed_of_shards, buyer);
        std::size_t shard = 0;
        if (settings.skew == 0)
            shard = evenly(drawn, users.size());
        else if (drawn < settings.skew || last == 0)
            shard = last;
        else
            shard = evenly((drawn - settings.skew) / (1 - settings.skew), last);
        const bool rolls_back = drawn_for(seed, buyer) < settings.rollback_rate;
        buyers.push_back({user_on(shard), static_cast<int>(shard), rolls_back,
                          rolls_back || drawn_for(seed_of_ways, buyer) < 0.5});
    }
    return buyers;
}

std::unique_ptr<scenario> make_sharded_drop() {
    return std::make_unique<sharded_drop>();
}

} // namespace coupon_race
