#include "pg/subtransaction.hpp"

extern "C" {
#include "utils/resowner.h"
}

namespace coupon_guard {

bool run_in_subtransaction(bool (*step)(void *context), void *context) {
    MemoryContext memory = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    volatile bool is_kept = false;
    BeginInternalSubTransaction(nullptr);
    MemoryContextSwitchTo(memory);
    // PG_TRY, as nearly nowhere else: an error must not leave the subtransaction to whoever
    // catches it.
    PG_TRY();
    {
        is_kept = step(context);
        if (is_kept)
            ReleaseCurrentSubTransaction();
        else
            RollbackAndReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(memory);
        CurrentResourceOwner = owner;
    }
    PG_CATCH();
    {
        // The error stays where it is, and no copy is made: that could fail (no memory left), and
        // leave the subtransaction open in a transaction that the session then cannot end.
        RollbackAndReleaseCurrentSubTransaction();
        MemoryContextSwitchTo(memory);
        CurrentResourceOwner = owner;
        PG_RE_THROW();
    }
    PG_END_TRY();
    return is_kept;
}

} // namespace coupon_guard
