// A step that is done whole or not at all, within the caller's transaction.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

// Runs step(context) in a subtransaction, which is kept if it says true, else rolled back; what it
// said. An error rolls it back, too, and goes on to the caller.
bool run_in_subtransaction(bool (*step)(void *context), void *context);

template <typename Step>
bool in_subtransaction(Step &&step) {
    return run_in_subtransaction(
        [](void *context) { return (*static_cast<std::remove_reference_t<Step> *>(context))(); },
        &step);
}

} // namespace coupon_guard
