/// The clients of a race: a thread each, and a connection if it needs one, let go at once.
#ifndef COUPON_RACE_SCENARIO_CLIENTS_HPP
#define COUPON_RACE_SCENARIO_CLIENTS_HPP

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include <pqxx/connection>
#include <pqxx/transaction_base>

#include <coupon_guard/retry.hpp>

#include "race_log.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

/// A barrier that can be called off. Any number of threads may ask it things.
///
/// It works twice. First the runners sleep until the last one has come; but sleepers wake one after
/// the other, and a request takes little longer than that. So those who are awake wait, spinning,
/// for those who are not yet: without it the first was often through before the second had begun.
class starting_gate {
  public:
    explicit starting_gate(int runners)
        : runners_{runners} {}

    /// Waits until all runners wait here, then lets all of them go: true. Once the race is called
    /// off it waits for nobody: false.
    bool wait();

    void call_off();
    bool called_off() const { return called_off_; }

    /// How often it has opened.
    std::int64_t openings() const;

  private:
    bool sleep_until_all_are_here();
    bool spin_until_all_are_awake();

    mutable std::mutex mutex_;
    std::condition_variable opened_;
    const int runners_;
    int waiting_ = 0;
    std::int64_t openings_ = 0;
    std::atomic<std::int64_t> awakened_{0}; ///< runners that were awake, over all rounds
    std::atomic<bool> called_off_{false};
};

/// Calls `work` (with the number of the client, and the gate) on a thread for each client, started
/// with signals blocked and always joined; returns what all of them logged. If one throws, the race
/// is called off, and what it threw is thrown. `progress` is called now and then on the calling
/// thread. Throws `interrupted`.
race_log run_crowd(int clients, const std::function<race_log(int, starting_gate &)> &work,
                   const std::function<void(const starting_gate &)> &progress);

/// What clients do when there is no answer, and when the answer is no.
struct conduct {
    bool asks_again_when_lost = false; ///< on a new connection; else a loss is the answer
    bool commits_a_refusal = false;    ///< else it is rolled back
};

class session {
  public:
    /// `seed` is of the pauses between repetitions. Connects when it first has to.
    session(const strategy &raced, std::string connection, std::uint64_t seed, conduct rules);

    /// Calls `once` until it is through, and writes down what it met; repeated is what certainly
    /// has not happened, and, of a strategy whose requests have ids, what may have. True if it got
    /// through: what the outcome is then, `once` has said.
    bool until_told(attempt &made, const std::function<void()> &once);

    using work = std::function<bool(pqxx::transaction_base &)>;

    /// Does the work in a transaction as the strategy has it, and commits if it says true. Throws
    /// coupon_guard's errors.
    void transact(const work &once);
    bool transact_until_told(attempt &made, const work &once) {
        return until_told(made, [&] { transact(once); });
    }

    const strategy &raced() const { return raced_; }
    /// Opened when first asked for, and anew after it broke. Throws connection_failed.
    pqxx::connection &connection();

  private:
    const strategy &raced_;
    const std::string address_;
    const conduct rules_;
    coupon_guard::backoff pauses_;
    std::unique_ptr<pqxx::connection> connection_;
};

} // namespace coupon_race

#endif
