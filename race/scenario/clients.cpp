#include "scenario/clients.hpp"

#include <future>
#include <iterator>
#include <thread>
#include <utility>

#include <pqxx/pqxx>

#include "error_translation.hpp"
#include "os/interruption.hpp"

namespace coupon_race {

namespace {

using coupon_guard::if_lost;
using coupon_guard::translating;

/// What a strategy is judged by is what it does, not when it gives up.
constexpr int most_tries = 1000;

/// Some ten microseconds. Who yields at once, on a machine that has other things to do, is put
/// behind them and starts late (measured: the race was then seen in as few as 8 of 200 rounds, and
/// in 58 at the least with this). Who never yields keeps those from waking who share its core.
constexpr int spins_before_yielding = 5000;

} // namespace

bool starting_gate::wait() {
    return sleep_until_all_are_here() && spin_until_all_are_awake();
}

bool starting_gate::sleep_until_all_are_here() {
    std::unique_lock lock{mutex_};
    if (called_off_)
        return false;
    if (++waiting_ == runners_) {
        waiting_ = 0;
        ++openings_;
        opened_.notify_all();
        return true;
    }
    const std::int64_t seen = openings_;
    opened_.wait(lock, [&] { return called_off_ || openings_ != seen; });
    return openings_ != seen;
}

/// Nobody can come round again before all have been counted, so the count of this round is full
/// when it reaches the next multiple of the runners.
bool starting_gate::spin_until_all_are_awake() {
    const std::int64_t place = awakened_.fetch_add(1);
    const std::int64_t all = (place / runners_ + 1) * runners_;
    for (int spins = 0; awakened_.load() < all; ++spins) {
        if (called_off_.load())
            return false;
        if (spins > spins_before_yielding)
            std::this_thread::yield();
    }
    return true;
}

void starting_gate::call_off() {
    const std::lock_guard lock{mutex_};
    called_off_ = true;
    opened_.notify_all();
}

std::int64_t starting_gate::openings() const {
    const std::lock_guard lock{mutex_};
    return openings_;
}

race_log run_crowd(int clients, const std::function<race_log(int, starting_gate &)> &work,
                   const std::function<void(const starting_gate &)> &progress) {
    starting_gate gate{clients};
    std::vector<std::future<race_log>> logs;
    // Declared after them: on the way out it sends them home, then each future joins its thread.
    struct home_sender {
        starting_gate &gate;
        ~home_sender() { gate.call_off(); }
    } const on_exit{gate};
    {
        const signals_blocked none_for_threads;
        for (int client = 0; client < clients; ++client)
            logs.push_back(std::async(std::launch::async, [&work, &gate, client] {
                try {
                    return work(client, gate);
                } catch (...) {
                    gate.call_off(); // or the others would wait for this one
                    throw;
                }
            }));
    }
    for (auto &log : logs)
        do {
            throw_if_interrupted();
            progress(gate);
        } while (log.wait_for(std::chrono::milliseconds{100}) != std::future_status::ready);
    race_log all;
    for (auto &log : logs) {
        race_log part = log.get();
        all.insert(all.end(), std::make_move_iterator(part.begin()),
                   std::make_move_iterator(part.end()));
    }
    return all;
}

session::session(const strategy &raced, std::string connection, std::uint64_t seed, conduct rules)
    : raced_{raced}
    , address_{std::move(connection)}
    , rules_{rules}
    , pauses_{{most_tries, std::chrono::milliseconds{1}, std::chrono::milliseconds{50}}, seed} {}

bool session::until_told(attempt &made, const std::function<void()> &once) {
    for (int tries = 1;; ++tries) {
        const bool in_doubt = made.outcome == outcome::unknown;
        const auto note = [&](outcome what, const std::exception &caught) {
            made.outcome = in_doubt ? outcome::unknown : what;
            made.error = caught.what();
        };
        bool again = false;
        try {
            once();
            made.error.clear();
            return true;
        } catch (const coupon_guard::outcome_unknown &caught) {
            ++made.connections_lost;
            note(outcome::unknown, caught);
            again = rules_.asks_again_when_lost && raced_.repeatable();
        } catch (const coupon_guard::connection_error &caught) {
            ++made.connections_lost;
            note(outcome::failed, caught);
            again = rules_.asks_again_when_lost;
        } catch (const coupon_guard::transaction_conflict &caught) {
            ++made.retries;
            note(outcome::failed, caught);
            again = true;
        } catch (const coupon_guard::unexpected_answer &caught) {
            note(outcome::failed, caught);
        } catch (const coupon_guard::error &caught) {
            note(outcome::failed, caught);
            // Without an SQLSTATE it is no answer of the server's: its connection is lost, though
            // libpqxx 6 may not have noticed.
            again = caught.sqlstate().empty() && rules_.asks_again_when_lost && raced_.repeatable();
            made.connections_lost += again;
            if (again)
                connection_.reset();
        }
        if (!again || tries == most_tries || interruption_signal() != 0)
            return false;
        std::this_thread::sleep_for(pauses_.pause(tries));
    }
}

void session::transact(const work &once) {
    pqxx::connection &own = connection();
    if (raced_.alone()) {
        translating(own, if_lost::outcome_unknown, [&] {
            pqxx::nontransaction transaction{own};
            once(transaction);
        });
        return;
    }
    translating(own, if_lost::nothing_happened, [&] {
        pqxx::work transaction{own};
        if (raced_.serializable())
            transaction.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        if (once(transaction) || rules_.commits_a_refusal)
            translating(own, if_lost::outcome_unknown, [&] { transaction.commit(); });
        else
            transaction.abort();
    });
}

pqxx::connection &session::connection() {
    if (connection_ && connection_->is_open())
        return *connection_;
    connection_.reset();
    try {
        connection_ = std::make_unique<pqxx::connection>(address_);
        pqxx::nontransaction{*connection_}.exec(raced_.greeting());
    } catch (const std::exception &caught) {
        connection_.reset();
        throw coupon_guard::connection_failed{caught.what()};
    }
    return *connection_;
}

} // namespace coupon_race
