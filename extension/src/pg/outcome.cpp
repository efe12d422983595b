#include "pg/outcome.hpp"

namespace coupon_guard {
namespace {

// Each is a change by somebody else in the moment between two looks.
constexpr int most_rounds_without_rival = 10000;

} // namespace

void wait_for_rival(const rival_transaction &other) {
    if (other.speculative_token != 0) {
        while_waiting(other.has, [&] {
            SpeculativeInsertionWait(other.transaction, other.speculative_token);
        });
        return;
    }
    Relation table = table_open(other.table, NoLock);
    ItemPointerData row = other.row;
    while_waiting(other.has,
                  [&] { XactLockTableWait(other.transaction, table, &row, XLTW_InsertIndex); });
    table_close(table, NoLock);
}

void rounds::wait(const outcome &end) {
    Assert(is_undecided(end));
    CHECK_FOR_INTERRUPTS();
    tally_up(counter::rounds_again);
    if (TransactionIdIsValid(end.rival.transaction)) {
        wait_for_rival(end.rival);
        without_rival = 0;
    } else if (++without_rival > most_rounds_without_rival) {
        ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                        errmsg("coupon_guard found no decision in %d rounds", without_rival),
                        errdetail("There was no transaction to wait for.")));
    }
}

} // namespace coupon_guard
