// A quota: what is left of a limit, in units, divided over the rows (stripes) of coupon_quota so
// that no row is hot. A redemption claims an amount of it.
//
// This room knows of the row that a quota belongs to only what limit.hpp asks of it.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// Which limit it is, as column kind says; in the order in which a redemption claims them.
enum class quota_kind : char {
    coupon_cap = 'c',
};

struct quota_id {
    int64 owner_id; // of the row that has the limit: the coupon
    quota_kind kind;
};

inline bool is_same(const quota_id &one, const quota_id &other) {
    return one.owner_id == other.owner_id && one.kind == other.kind;
}

struct quota {
    quota_id id;
    int64 granted; // units that may be given in all: the cap
    int32 stripes; // the most that it is divided over; 0: as the setting says
};
static_assert(std::is_trivially_copyable_v<quota>);

// What a redemption takes of a quota, or none of it.
struct claim {
    quota from;
    int64 amount;
};

// Setting coupon_guard.quota_stripes: the most stripes that a quota is divided over, unless its
// owner says otherwise (coupon.stripes).
extern int quota_stripes;

inline int32 most_stripes(const quota &divided) {
    return divided.stripes > 0 ? divided.stripes : quota_stripes;
}

} // namespace coupon_guard
