// A call may run inside another: a trigger of the shop's on the ledger that redeems. So what is
// noted is a stack, of which each call has what was tallied before it began, and puts that back.
//
// A call that ends with an error does not come back here. But an error is caught by nobody before
// the subtransaction in which the call began is rolled back, or the transaction: so the calls that
// began in there, or deeper, have ended by it. (A subtransaction that a call itself begins and
// rolls back is deeper than where it began.)

#include "statistics/calls.hpp"

namespace coupon_guard {
namespace {

struct open_call {
    called function;
    int level;   // how deep the subtransaction is nested that it began in
    tally outer; // what the call around it had tallied by then
};
open_call *calls; // the innermost last; in TopMemoryContext
int call_count;
int call_room;

void make_room() {
    if (call_count < call_room)
        return;
    int room = Max(2 * call_room, 8);
    Size size = sizeof(open_call) * room;
    calls = static_cast<open_call *>(calls == nullptr ? MemoryContextAlloc(TopMemoryContext, size)
                                                      : repalloc(calls, size));
    call_room = room;
}

// The outermost call has nothing to put back.
void forget_last_call() {
    call_count--;
    if (call_count > 0)
        tallied = calls[call_count].outer;
    else
        forget(tallied);
}

void end_last_call_by_error() {
    add_to_counts(calls[call_count - 1].function, outcome_by_error, tallied);
    forget_last_call();
}

void end_calls_by_error(int level) {
    while (call_count > 0 && calls[call_count - 1].level >= level)
        end_last_call_by_error();
}

void end_transaction(XactEvent event, void *) {
    switch (event) {
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
    case XACT_EVENT_COMMIT: // there are none then, unless somebody has caught an error and gone on
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_PREPARE:
        end_calls_by_error(0);
        break;
    default:
        break;
    }
}

void end_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
    if (event == SUBXACT_EVENT_ABORT_SUB)
        end_calls_by_error(GetCurrentTransactionNestLevel());
}

// Whether the last call is of this function. What is behind the one that is, is left from an error
// that somebody has caught without a subtransaction.
bool is_open(called function) {
    while (call_count > 0 && calls[call_count - 1].function != function)
        end_last_call_by_error();
    return call_count > 0;
}

} // namespace

void note_call(called function) {
    if (!has_counts())
        return;
    make_room();
    open_call &begun = calls[call_count];
    begun.function = function;
    begun.level = GetCurrentTransactionNestLevel();
    if (call_count > 0)
        begun.outer = tallied;
    forget(tallied);
    call_count++;
}

void note_answer(called function, coupon_status what) {
    if (!is_open(function))
        return;
    add_to_counts(function, static_cast<int>(what), tallied);
    forget(tallied);
}

void note_answer(called function, coupon_status what, const tally &spent) {
    if (is_open(function))
        add_to_counts(function, static_cast<int>(what), spent);
}

void note_end(called function) {
    if (is_open(function))
        forget_last_call();
}

void register_call_callbacks() {
    if (!counts_calls)
        return;
    RegisterXactCallback(end_transaction, nullptr);
    RegisterSubXactCallback(end_subtransaction, nullptr);
}

} // namespace coupon_guard
