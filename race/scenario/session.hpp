/// One client of the shop: a connection of its own, and requests that are repeated where that is
/// harmless.
#ifndef COUPON_RACE_SCENARIO_SESSION_HPP
#define COUPON_RACE_SCENARIO_SESSION_HPP

#include <functional>
#include <memory>
#include <string>

#include <pqxx/connection>
#include <pqxx/transaction_base>

#include <coupon_guard/retry.hpp>

#include "strategies/strategy.hpp"

namespace coupon_race {

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
