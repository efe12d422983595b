#include "scenario/drop.hpp"

#include <random>
#include <thread>

#include <pqxx/pqxx>

#include "error_translation.hpp"
#include "scenario/bystanders.hpp"
#include "scenario/crowd.hpp"
#include "scenario/double_click.hpp"
#include "scenario/starting_gate.hpp"
#include "strategies/worker_connection.hpp"

namespace coupon_race {

namespace {

using coupon_guard::if_lost;
using coupon_guard::translating;

/// What a strategy is judged by is what it does, not when it gives up.
constexpr int most_tries = 1000;

coupon_guard::retry_policy pauses_between_tries() {
    return {most_tries, std::chrono::milliseconds{1}, std::chrono::milliseconds{50}};
}

class buyer_session {
  public:
    buyer_session(const drop &scenario, const drop_strategy &raced, const std::string &connection,
                  std::uint64_t seed, backend_killer &killer)
        : scenario_{scenario}
        , raced_{raced}
        , connection_{connection}
        , pauses_{pauses_between_tries(), seed}
        , killer_{killer} {}

    purchase buy(std::int64_t user, const std::string &code, fate ahead) {
        purchase made;
        made.user = user;
        fate_ = ahead;
        answer_is_lost_ = false;
        made.started = race_clock::now();
        int tries = 1;
        while (try_to_buy(made, code) == again && tries < most_tries) {
            std::this_thread::sleep_for(pauses_.pause(tries));
            ++tries;
        }
        made.ended = race_clock::now();
        return made;
    }

  private:
    enum outcome { done, again };

    /// Repeated is what certainly has not happened, and, by who has a request id, what may have.
    outcome try_to_buy(purchase &made, const std::string &code) {
        const bool in_doubt = made.result.answer == answer::unknown;
        try {
            transact(made, code);
            made.result.error.clear();
            return done;
        } catch (const coupon_guard::outcome_unknown &caught) {
            ++made.connections_lost;
            note(made, answer::unknown, caught);
            return raced_.repeatable() ? again : done;
        } catch (const coupon_guard::connection_error &caught) {
            ++made.connections_lost;
            note(made, in_doubt ? answer::unknown : answer::failed, caught);
            return again;
        } catch (const coupon_guard::transaction_conflict &caught) {
            ++made.result.retries;
            note(made, in_doubt ? answer::unknown : answer::failed, caught);
            return again;
        } catch (const coupon_guard::error &caught) {
            note(made, in_doubt ? answer::unknown : answer::failed, caught);
            return done;
        }
    }

    static void note(purchase &made, answer what, const std::exception &caught) {
        made.result.answer = what;
        made.result.error = caught.what();
    }

    void transact(purchase &made, const std::string &code) {
        pqxx::connection &connection = connection_.get();
        translating(connection, if_lost::nothing_happened, [&] {
            pqxx::work transaction{connection};
            if (raced_.serializable())
                transaction.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
            const auto redemption =
                raced_.take(transaction, made.user, code, "buyer-" + std::to_string(made.user));
            if (!redemption) {
                transaction.abort();
                made.result.answer = answer::refused;
                return;
            }
            std::this_thread::sleep_for(scenario_.hold_time);
            if (!meet_fate(made, connection, transaction))
                return;
            translating(connection, if_lost::outcome_unknown, [&] { transaction.commit(); });
            if (std::exchange(answer_is_lost_, false)) {
                killer_.kill(connection.backendpid());
                throw coupon_guard::outcome_unknown{
                    "the connection broke before COMMIT was answered"};
            }
            made.result.answer = answer::redeemed;
            made.result.redemption_id = redemption;
        });
    }

    /// True if the transaction is to be committed. A fate is met once.
    bool meet_fate(purchase &made, pqxx::connection &connection, pqxx::work &transaction) {
        switch (std::exchange(fate_, fate::commit)) {
        case fate::roll_back:
            transaction.abort();
            made.rolled_back = true;
            return false;
        case fate::killed_before_commit:
            transaction.exec("SELECT pg_terminate_backend(pg_backend_pid())");
            break;
        case fate::killed_at_commit:
            killer_.kill(connection.backendpid());
            break;
        case fate::killed_after_commit:
            answer_is_lost_ = true;
            break;
        case fate::commit:
            break;
        }
        if (!made.commit_sent)
            made.commit_sent = race_clock::now();
        return true;
    }

    const drop &scenario_;
    const drop_strategy &raced_;
    worker_connection connection_;
    coupon_guard::backoff pauses_;
    backend_killer &killer_;
    fate fate_ = fate::commit;
    bool answer_is_lost_ = false;
};

} // namespace

fate fate_of(const drop &scenario, std::uint64_t seed, std::int64_t buyer) {
    std::seed_seq mixed{seed, seed >> 32, static_cast<std::uint64_t>(buyer)};
    std::mt19937_64 random{mixed};
    const double drawn = std::uniform_real_distribution<double>{0, 1}(random);
    if (drawn < scenario.rollback_rate)
        return fate::roll_back;
    if (drawn < scenario.rollback_rate + scenario.kill_rate / 2)
        return fate::killed_before_commit;
    if (drawn < scenario.rollback_rate + scenario.kill_rate * 3 / 4)
        return fate::killed_at_commit;
    if (drawn < scenario.rollback_rate + scenario.kill_rate)
        return fate::killed_after_commit;
    return fate::commit;
}

drop_result run(const drop &scenario, const drop_strategy &raced, const std::string &connection,
                std::uint64_t seed, const std::function<void(std::int64_t)> &progress) {
    backend_killer killer{connection};
    lock_watch watch{connection};
    starting_gate gate{scenario.clients};
    std::atomic<std::int64_t> come{0};
    const auto serve = [&](int client, const std::atomic<bool> &stop) {
        drop_log log;
        log.reserve(fair_share(scenario.buyers, scenario.clients));
        try {
            buyer_session session{scenario, raced, connection,
                                  seed + static_cast<std::uint64_t>(client), killer};
            session.buy(-1 - client, warm_up_code, fate::roll_back);
            if (!gate.wait())
                return log;
            while (!stop) {
                const std::int64_t buyer = ++come;
                if (buyer > scenario.buyers)
                    break;
                log.push_back(session.buy(buyer, raced_code, fate_of(scenario, seed, buyer)));
                log.back().client = client;
            }
        } catch (...) {
            gate.call_off(); // or the others would wait for this one
            throw;
        }
        return log;
    };
    drop_result result;
    result.log = run_crowd<purchase>(scenario.clients, serve, [&] {
        try {
            throw_if_interrupted();
        } catch (...) {
            gate.call_off();
            throw;
        }
        progress(std::min(come.load(), scenario.buyers));
    });
    result.blocked = watch.stop();
    return result;
}

} // namespace coupon_race
