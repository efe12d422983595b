// What was called, what came of it, and what it took: noted from a call's beginning to its answer,
// and counted in shared memory (counts.hpp). Without preloading nothing is noted.
#pragma once

#include "statistics/counts.hpp"

namespace coupon_guard {

// To be called when the function is entered, before anything can fail.
void begin_call(called function);

// One answer of the call, with what has been tallied since its beginning or its last answer; or
// with what was spent on this answer.
void count_answer(called function, coupon_status what);
void count_answer(called function, coupon_status what, const tally &spent);

// To be called when all answers are counted. A call that does not come so far, and whose
// subtransaction or transaction is rolled back, has ended by an error.
void end_call(called function);

// Registers the callbacks; called once, when the library is loaded.
void register_call_callbacks();

} // namespace coupon_guard
