// Rights: what of a limit this shard may give; and units that move from one shard to another.
#pragma once

#include "core/code_key.hpp"
#include "pg/text_value.hpp"
#include "quota/quota.hpp"

extern "C" {
#include "utils/uuid.h"
}

namespace coupon_guard {

inline constexpr std::size_t most_shard_name_bytes = 63;
using shard_name = text_value<most_shard_name_bytes>;

// What is asked for: units of a limit, the coupon or campaign named as somebody typed it, and the
// shard at the other end.
struct transfer_request {
    code_key owner;
    Datum typed; // for messages
    quota_kind kind;
    int64 units;
    pg_uuid_t id;
    shard_name peer;
};

// Takes as many units as are left here, up to so many, out of this shard's rights; how many. 0:
// there are none, for certain, or the coupon has a holder, and nothing is written. If this has been
// done before: what came of it. Waits only while there are none and a transaction still open may
// bring some.
// Errors: RC001 if there is no such coupon or campaign, RC013 for an id that was used for another
// transfer, 55000 without such a limit, where this server is no shard or does not follow changes;
// 22023 for a transfer to itself; 27000 in a trigger on the row itself.
int64 release_units(const installation &guard, const transfer_request &asked);

// Adds units that another shard has released to this shard's rights. False: that has been done
// before. Errors: as for release_units(), 22003 for more than a bigint.
bool accept_units(const installation &guard, const transfer_request &asked);

// Notes that the other half of a transfer from here is committed. False: that was known, or there
// is no such transfer.
bool settle_transfer(const installation &guard, const pg_uuid_t &id);

// What there is of a limit here. Waits for nobody, writes nothing.
struct units_here {
    bool has_limit; // else nothing else is known
    shard_name shard;
    quota_id id;
    int64 granted;
    int64 remaining;
    bool is_dry;     // there is none, and no transaction still open can bring one
    int64 transfers; // the number of the last transfer of this limit
    int64 under_way; // units that have left, of which it is not known that they have arrived
};
units_here look_at_units(const installation &guard, const code_key &owner, quota_kind kind);

// 22023 for another kind than there is.
quota_kind read_quota_kind(char kind);

} // namespace coupon_guard
