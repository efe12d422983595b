#include "quota/limit.hpp"

#include "quota/coupon_cap.hpp"

namespace coupon_guard {

const limit_rules &rules_of(quota_kind kind) {
    switch (kind) {
    case quota_kind::coupon_cap:
        break;
    }
    Assert(kind == quota_kind::coupon_cap);
    return coupon_cap_rules;
}

int64 count_settled_use(const installation &guard, const quota_id &id) {
    const limit_rules &limit = rules_of(id);
    CommandCounterIncrement();
    until_decided([&] { return limit.find_use_in_progress(guard, id.owner_id); });
    // Counted by a snapshot, for the scan judges each row by itself, and may have missed one that
    // was being updated.
    return limit.count_committed_use(guard, id.owner_id);
}

} // namespace coupon_guard
