// What was called, what came of it, and what it took: noted from a call's beginning to its answer,
// and counted in shared memory (counts.hpp). Without preloading nothing is noted.
#pragma once

#include "statistics/counts.hpp"

namespace coupon_guard {

void note_call(called function);
void note_answer(called function, coupon_status what);
void note_answer(called function, coupon_status what, const tally &spent);
void note_end(called function);

// To be called when the function is entered, before anything can fail.
inline void begin_call(called function) {
    if (counts_calls)
        note_call(function);
}

// One answer of the call, with what has been tallied since its beginning or its last answer; or
// with what was spent on this answer.
inline void count_answer(called function, coupon_status what) {
    if (counts_calls)
        note_answer(function, what);
}
inline void count_answer(called function, coupon_status what, const tally &spent) {
    if (counts_calls)
        note_answer(function, what, spent);
}

// To be called when all answers are counted. A call that does not come so far, and whose
// subtransaction or transaction is rolled back, has ended by an error.
inline void end_call(called function) {
    if (counts_calls)
        note_end(function);
}

// Registers the callbacks; called once, when the library is loaded.
void register_call_callbacks();

} // namespace coupon_guard
