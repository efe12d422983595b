/// Repeats a whole transaction after a conflict, or a question after a lost connection (private;
/// the runner uses it too).
#ifndef COUPON_GUARD_SRC_RETRY_LOOP_HPP
#define COUPON_GUARD_SRC_RETRY_LOOP_HPP

#include <cstdint>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include <coupon_guard/errors.hpp>
#include <coupon_guard/redemption.hpp>
#include <coupon_guard/retry.hpp>

namespace coupon_guard {

/// The seed for the pauses: the one that is given, else one that cannot be foretold.
inline std::uint64_t seed_of(const std::optional<std::uint64_t> &given) {
    if (given)
        return *given;
    std::random_device entropy;
    return (std::uint64_t{entropy()} << 32) | entropy();
}

/// Calls `work` until it does not throw transaction_conflict, pausing in between, and counts the
/// repetitions in `retries`. Past the policy's last attempt the conflict is thrown with that count.
///
/// Only a transaction that the server has rolled back may be repeated, so nothing else is caught:
/// a lost connection least of all.
template <typename Pauses, typename Work>
auto retry_conflicts(Pauses &pauses, int &retries, Work &&work) -> decltype(work()) {
    for (retries = 0;;) {
        try {
            return work();
        } catch (const transaction_conflict &conflict) {
            if (retries + 1 >= pauses.policy().max_attempts)
                throw transaction_conflict{conflict.what(), conflict.sqlstate(), retries};
        }
        ++retries;
        std::this_thread::sleep_for(pauses.pause(retries));
    }
}

/// Calls `work` until it does not throw outcome_unknown, pausing in between, and counts in
/// `asked_again`. Only for a request that is harmless to repeat.
///
/// Once in doubt, whatever else fails (no new connection, lock_timeout) leaves the doubt: past the
/// policy's last attempt, and for an error of the server at once, that is outcome_unknown too.
template <typename Pauses, typename Work>
auto ask_until_told(Pauses &pauses, int &asked_again, Work &&work) -> decltype(work()) {
    for (asked_again = 0;;) {
        const bool last = asked_again + 1 >= pauses.policy().max_attempts;
        try {
            return work();
        } catch (const outcome_unknown &) {
            if (last)
                throw;
        } catch (const connection_error &no_answer) {
            if (asked_again == 0)
                throw;
            if (last)
                throw outcome_unknown{no_answer.what(), no_answer.sqlstate()};
        } catch (const error &other) {
            if (asked_again == 0)
                throw;
            throw outcome_unknown{other.what(), other.sqlstate()};
        }
        ++asked_again;
        std::this_thread::sleep_for(pauses.pause(asked_again));
    }
}

/// What an answer says of how it came about; those of some kinds have no room for it.
template <typename Answer>
Answer counted(Answer got, int retries, int asked_again) {
    got.retries = retries;
    got.asked_again = asked_again;
    return got;
}
inline bool counted(bool got, int, int) {
    return got;
}
inline availability counted(availability got, int, int) {
    return got;
}

/// Both: conflicts are repeated, and if the request is repeatable it is asked again when the
/// connection is lost. `work` asks once, and adds to the retries what it has repeated by itself.
template <typename Pauses, typename Work>
auto ask_with_patience(Pauses &pauses, bool is_repeatable, Work &&work)
    -> decltype(work(std::declval<int &>())) {
    int retries = 0;
    int asked_again = 0;
    const auto ask = [&] {
        int conflicts = 0;
        auto got = retry_conflicts(pauses, conflicts, [&] { return work(retries); });
        retries += conflicts;
        return got;
    };
    auto got = is_repeatable ? ask_until_told(pauses, asked_again, ask) : ask();
    return counted(std::move(got), retries, asked_again);
}

} // namespace coupon_guard

#endif
