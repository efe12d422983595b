// An answer that rests on what another transaction has committed.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

// Lets the commit of this transaction wait for the synchronous standbys, if there are any, as if it
// had done itself what an earlier one has. For the caller takes the answer as done for good; but a
// transaction that writes nothing waits for nobody, and the earlier one may have been let go before
// the standbys had it (a cancel, an end of its session). Without such standbys nothing is done.
void rest_on_earlier_commit();

} // namespace coupon_guard
