// An answer that may hang on another transaction, and the one loop that waits for such answers.
#pragma once

#include "pg/wait.hpp"

namespace coupon_guard {

// A transaction still open on which an answer hangs.
struct rival_transaction {
    TransactionId transaction; // invalid: none, things have just changed
    uint32 speculative_token;  // 0 if it has finished writing its row
    Oid table;
    ItemPointerData row;
    awaited has; // whether it is waited for as a rival, or for the units that it has
};

enum class verdict : unsigned char { yes, no, undecided };

struct outcome {
    verdict decision;
    rival_transaction rival; // means something only if undecided
};
static_assert(std::is_trivially_copyable_v<outcome>);

inline outcome decided(bool is_yes) {
    return {is_yes ? verdict::yes : verdict::no, {}};
}
inline outcome hangs_on(const rival_transaction &other) {
    Assert(TransactionIdIsValid(other.transaction));
    return {verdict::undecided, other};
}
// Undecided with nobody to wait for: what was read has changed meanwhile.
inline outcome look_again() {
    return {verdict::undecided, {}};
}
inline bool is_yes(const outcome &end) {
    return end.decision == verdict::yes;
}
inline bool is_no(const outcome &end) {
    return end.decision == verdict::no;
}
inline bool is_undecided(const outcome &end) {
    return end.decision == verdict::undecided;
}

// Waits for the rival's end: its transaction's, or if it is still writing, its decision.
// Errors: lock_timeout, statement_timeout, deadlock, cancel.
void wait_for_rival(const rival_transaction &other);

// Counts the rounds of a loop that ends when rivals do.
struct rounds {
    int without_rival = 0;

    // To be called after a round that ended undecided: waits for the rival, if there is one.
    // Errors: as for wait_for_rival(); XX000 after so many rounds in a row without a rival that
    // only a fault of ours can be the reason.
    void wait(const outcome &end);
};

// Tries until it is decided. True: yes.
template <typename Attempt>
bool until_decided(Attempt attempt) {
    rounds played;
    for (;;) {
        outcome end = attempt();
        if (!is_undecided(end))
            return is_yes(end);
        played.wait(end);
    }
}

} // namespace coupon_guard
