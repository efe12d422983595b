#include "scenario/checkout.hpp"

#include <algorithm>
#include <optional>
#include <random>
#include <thread>

#include <pqxx/pqxx>

#include "error_translation.hpp"
#include "retry_loop.hpp"
#include "scenario/bystanders.hpp"
#include "scenario/crowd.hpp"
#include "scenario/double_click.hpp"
#include "scenario/starting_gate.hpp"
#include "strategies/worker_connection.hpp"

namespace coupon_race {

namespace {

using namespace std::chrono_literals;
using coupon_guard::if_lost;
using coupon_guard::translating;

constexpr auto before_coming_again = 5ms;
constexpr auto sweep_interval = 100ms;

/// Many lives of a hold, each of which may be abandoned in its turn.
std::chrono::nanoseconds patience(const checkout &scenario) {
    return 20 * scenario.ttl + scenario.patience;
}

class visitor_session {
  public:
    visitor_session(const checkout &scenario, const checkout_strategy &raced,
                    const std::string &connection, std::uint64_t seed)
        : scenario_{scenario}
        , raced_{raced}
        , connection_{connection}
        , pauses_{{1000, 1ms, 50ms}, seed} {}

    template <typename AllIsSold>
    visit serve(std::int64_t user, const std::string &code, bool leaves, AllIsSold &&all_is_sold) {
        visit made;
        made.user = user;
        made.started = race_clock::now();
        made.result = as_attempt([&] {
            attempt result;
            result.answer = answer::refused;
            const auto held = hold(user, code, result, made, all_is_sold);
            if (held)
                decide(*held, leaves, result, made);
            return result;
        });
        made.ended = race_clock::now();
        return made;
    }

  private:
    template <typename AllIsSold>
    std::optional<std::int64_t> hold(std::int64_t user, const std::string &code, attempt &result,
                                     visit &made, AllIsSold &&all_is_sold) {
        for (;;) {
            const auto held = transact<std::optional<std::int64_t>>(result, [&](auto &transaction) {
                return raced_.hold(transaction, user, code, scenario_.ttl);
            });
            made.until_held = race_clock::now() - made.started;
            if (held || all_is_sold() || made.until_held > patience(scenario_))
                return held;
            std::this_thread::sleep_for(before_coming_again);
        }
    }

    void decide(std::int64_t held, bool leaves, attempt &result, visit &made) {
        std::this_thread::sleep_for(scenario_.think_time);
        made.walked_away = leaves;
        if (leaves)
            return;
        const bool confirmed = transact<bool>(
            result, [&](auto &transaction) { return raced_.confirm(transaction, held); });
        made.expired = !confirmed;
        if (confirmed) {
            result.answer = answer::redeemed;
            result.redemption_id = held;
        }
    }

    /// What is refused is rolled back: the textbook has written by then.
    template <typename Answer, typename Work>
    Answer transact(attempt &result, Work &&work) {
        int retries = 0;
        const Answer got = coupon_guard::retry_conflicts(pauses_, retries, [&] {
            pqxx::connection &connection = connection_.get();
            return translating(connection, if_lost::nothing_happened, [&] {
                pqxx::work transaction{connection};
                const Answer answered = work(transaction);
                if (answered)
                    translating(connection, if_lost::outcome_unknown,
                                [&] { transaction.commit(); });
                else
                    transaction.abort();
                return answered;
            });
        });
        result.retries += retries;
        return got;
    }

    const checkout &scenario_;
    const checkout_strategy &raced_;
    worker_connection connection_;
    coupon_guard::backoff pauses_;
};

} // namespace

bool walks_away(const checkout &scenario, std::uint64_t seed, std::int64_t buyer) {
    std::seed_seq mixed{seed, seed >> 32, static_cast<std::uint64_t>(buyer)};
    std::mt19937_64 random{mixed};
    return std::uniform_real_distribution<double>{0, 1}(random) < scenario.walk_away_rate;
}

checkout_log run(const checkout &scenario, const checkout_strategy &raced,
                 const std::string &connection, std::uint64_t seed,
                 const std::function<void(std::int64_t)> &progress) {
    const sweeper sweeping{connection, raced.sweep(), sweep_interval};
    starting_gate gate{scenario.clients};
    std::atomic<std::int64_t> come{0};
    std::atomic<std::int64_t> confirmed{0};
    const auto serve = [&](int client, const std::atomic<bool> &stop) {
        checkout_log log;
        log.reserve(fair_share(scenario.buyers, scenario.clients));
        const auto all_is_sold = [&] { return stop || confirmed >= scenario.cap; };
        try {
            visitor_session session{scenario, raced, connection,
                                    seed + static_cast<std::uint64_t>(client)};
            session.serve(-1 - client, warm_up_code, false, [] { return true; });
            if (!gate.wait())
                return log;
            while (!stop) {
                const std::int64_t buyer = ++come;
                if (buyer > scenario.buyers)
                    break;
                log.push_back(session.serve(buyer, raced_code, walks_away(scenario, seed, buyer),
                                            all_is_sold));
                log.back().client = client;
                confirmed += log.back().result.answer == answer::redeemed;
            }
        } catch (...) {
            gate.call_off(); // or the others would wait for this one
            throw;
        }
        return log;
    };
    return run_crowd<visit>(scenario.clients, serve, [&] {
        try {
            throw_if_interrupted();
        } catch (...) {
            gate.call_off();
            throw;
        }
        progress(std::min(come.load(), scenario.buyers));
    });
}

} // namespace coupon_race
