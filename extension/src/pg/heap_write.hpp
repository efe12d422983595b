// Writing rows past the executor, where a write plan says that nothing of it is needed. The hot
// path's way to write.
#pragma once

#include "pg/open_table.hpp"

namespace coupon_guard {

// Inserts a row into the plan's table, which the caller has locked in ROW EXCLUSIVE mode. It is
// visible to the transaction's next command once the caller has called CommandCounterIncrement().
// False, with nothing written, if an arbiter holds the key already, committed or not. kept: where
// the table and its indexes are kept open, or null.
// Errors: 23505 from a unique index that does not arbitrate.
bool insert_plainly(const write_plan &plan, const Datum *values, const bool *nulls,
                    open_table *kept);

// Writes another version of the row whose version at tid was read, or deletes the row. False if
// that is not its newest version, or (unless told to wait) if another transaction is changing it.
// The caller has that version pinned. A wait is shown as one for a stripe: nothing else is changed
// so. After an update tid is where the new version is.
bool update_plainly(const write_plan &plan, Relation table, ItemPointerData &tid,
                    const Datum *values, const bool *nulls, bool wait);
bool delete_plainly(const write_plan &plan, Relation table, ItemPointerData tid, bool wait);

// Whether the row at tid, which this command inserts speculatively, is as it has been written: not
// changed, locked or deleted.
bool is_still_speculative(Relation table, ItemPointerData tid);

} // namespace coupon_guard
