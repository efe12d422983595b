#include "coupon/campaign.hpp"

#include "catalog/invalidation.hpp"
#include "coupon/coupon_cache.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {
namespace {

// The newest version of the campaign that the key finds in the index. settled says whether its row
// is committed and nobody is changing it.
bool read_newest(const installation &guard, Oid catalog::*index, ScanKeyData key,
                 campaign_row &found, bool &settled) {
    const catalog &tables = lock_table(guard, &catalog::campaign_table, AccessShareLock);
    const campaign_columns columns = tables.campaign;
    index_scan scan = begin_scan(tables.campaign_table, tables.*index, &key, 1);
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        read_limits(columns, scan, "campaign", found);
        settled = is_settled(scan);
    }
    end_scan(scan);
    return exists;
}

bool has_rows(const installation &guard, Oid catalog::*table, Oid catalog::*index,
              ScanKeyData *keys, int count) {
    const catalog &tables = lock_table(guard, table, AccessShareLock);
    index_scan scan = begin_scan(tables.*table, tables.*index, keys, count);
    bool has_any = next_row(scan);
    end_scan(scan);
    return has_any;
}

} // namespace

bool has_campaigns(const installation &guard) {
    return has_rows(guard, &catalog::campaign_table, &catalog::campaign_id_index, nullptr, 0);
}

bool has_coupons(const installation &guard, int64 campaign_id) {
    ScanKeyData key = equals_bigint(1, campaign_id);
    return has_rows(guard, &catalog::coupon_table, &catalog::coupon_holder_index, &key, 1);
}

bool has_coupons(const installation &guard) {
    return has_rows(guard, &catalog::coupon_table, &catalog::coupon_holder_index, nullptr, 0);
}

bool find_campaign(const installation &guard, int64 id, campaign_row &found) {
    if (find_cached_campaign(guard, id, found))
        return true;
    tally_up(counter::cache_misses);
    uint64 changes = changes_before_reading();
    bool settled;
    if (!read_newest(guard, &catalog::campaign_id_index, equals_bigint(1, id), found, settled))
        return false;
    if (settled)
        cache_campaign(guard, found, changes);
    return true;
}

bool find_campaign(const installation &guard, const code_key &name, campaign_row &found) {
    if (name.error != code_key_error::none)
        return false; // no campaign can have such a name
    text_value<max_ascii_code_key_bytes> key;
    key.assign(name.bytes, name.length);
    bool settled;
    return read_newest(guard, &catalog::campaign_name_index, equals_text(1, key.datum()), found,
                       settled);
}

} // namespace coupon_guard
