// A quota: what is left of a limit, in units, divided over the rows (stripes) of coupon_quota so
// that no row is hot. A redemption claims an amount of it.
//
// This room knows of the row that a quota belongs to only what limit.hpp asks of it.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// Which limit it is, as column kind says; in the order in which a redemption claims them.
enum class quota_kind : char {
    campaign_cap = 'C',
    campaign_budget = 'B',
    coupon_cap = 'c',
    coupon_budget = 'b',
};

inline bool is_budget(quota_kind kind) {
    return kind == quota_kind::coupon_budget || kind == quota_kind::campaign_budget;
}
inline limit_owner owner_of(quota_kind kind) {
    return kind == quota_kind::campaign_cap || kind == quota_kind::campaign_budget
               ? limit_owner::campaign
               : limit_owner::coupon;
}
// In messages.
inline const char *name_of(limit_owner owner) {
    return owner == limit_owner::campaign ? "campaign" : "coupon";
}

struct quota_id {
    int64 owner_id; // of the row that has the limit: the coupon, or its campaign
    quota_kind kind;
};

inline bool is_same(const quota_id &one, const quota_id &other) {
    return one.owner_id == other.owner_id && one.kind == other.kind;
}

// For tables of slots by quota: the quotas of one owner have numbers that follow each other.
inline uint64 slot_number(const quota_id &id) {
    const auto kind = static_cast<unsigned char>(id.kind);
    return static_cast<uint64>(id.owner_id) << 2 | (kind & 1u) << 1 | (kind >> 5 & 1u);
}
static_assert((static_cast<int>(quota_kind::coupon_cap) & 0x21) == 0x21 &&
              (static_cast<int>(quota_kind::coupon_budget) & 0x21) == 0x20 &&
              (static_cast<int>(quota_kind::campaign_cap) & 0x21) == 0x01 &&
              (static_cast<int>(quota_kind::campaign_budget) & 0x21) == 0x00);

struct quota {
    quota_id id;
    int64
        granted; // units that may be given in all: the cap, the budget, or this shard's part of it
    int32 stripes; // the most that it is divided over; 0: as the setting says
    bool is_part;  // other shards have the rest of the limit
};
static_assert(std::is_trivially_copyable_v<quota>);

// What a redemption takes of a quota, or none of it.
struct claim {
    quota from;
    int64 amount;
    int64 next; // what the same call is likely to claim of it after that, for others
};

// More than a redemption has: cap and budget of its campaign and of its coupon.
inline constexpr int most_claims = 8;

// Setting coupon_guard.quota_stripes: the most stripes that a quota is divided over, unless its
// owner says otherwise (coupon.stripes).
extern int quota_stripes;

inline int32 most_stripes(const quota &divided) {
    return divided.stripes > 0 ? divided.stripes : quota_stripes;
}

} // namespace coupon_guard
