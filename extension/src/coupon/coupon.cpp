#include "coupon/coupon.hpp"

#include "catalog/code_patterns.hpp"
#include "catalog/invalidation.hpp"
#include "coupon/coupon_cache.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {
namespace {

coupon_row read_coupon(const coupon_columns &columns, const index_scan &scan) {
    coupon_row found;
    read_limits(columns, scan, "coupon", found);
    found.stripes = DatumGetInt32(column_or(scan, columns.stripes, Int32GetDatum(0)));
    found.has_holder = columns.holder != 0 && !is_null(scan, columns.holder);
    found.holder = found.has_holder
                       ? PointerGetDatum(PG_DETOAST_DATUM_COPY(column_of(scan, columns.holder)))
                       : Datum{0};
    found.has_campaign = columns.campaign_id != 0 && !is_null(scan, columns.campaign_id);
    found.campaign_id =
        found.has_campaign ? DatumGetInt64(column_of(scan, columns.campaign_id)) : 0;
    return found;
}

// The newest version of the coupon that the key finds in the index. settled says whether its row
// is committed and nobody is changing it. Given the code's key, what cannot be there is not looked
// for.
bool read_newest(const installation &guard, Oid catalog::*index, ScanKeyData key, coupon_row &found,
                 bool &settled, const code_key *asked = nullptr) {
    const catalog &tables = lock_table(guard, &catalog::coupon_table, AccessShareLock);
    if (asked != nullptr && is_ruled_out(tables, *asked))
        return false;
    coupon_columns columns = tables.coupon;
    index_scan scan = begin_scan(tables.coupon_table, tables.*index, &key, 1);
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_coupon(columns, scan);
        settled = is_settled(scan);
    }
    end_scan(scan);
    return exists;
}

} // namespace

bool find_coupon(const installation &guard, const code_key &key, coupon_row &found) {
    if (key.error != code_key_error::none)
        return false; // no coupon can have such a code
    if (find_cached_coupon(guard, key, found))
        return true;
    tally_up(counter::cache_misses);
    text_value<max_ascii_code_key_bytes> key_text;
    key_text.assign(key.bytes, key.length);
    uint64 changes = changes_before_reading();
    bool settled;
    if (!read_newest(guard, &catalog::coupon_key_index, equals_text(1, key_text.datum()), found,
                     settled, &key))
        return false;
    if (settled && !is_personal(found))
        cache_coupon(guard, key, found, changes);
    return true;
}

bool find_coupon(const installation &guard, int64 id, coupon_row &found) {
    bool settled;
    return read_newest(guard, &catalog::coupon_id_index, equals_bigint(1, id), found, settled);
}

coupon_status judge_coupon(const coupon_row &coupon, Datum user, TimestampTz moment) {
    coupon_status judged = judge_window(coupon, moment);
    if (judged == coupon_status::redeemed && coupon.has_holder &&
        !is_same_text(coupon.holder, user))
        return coupon_status::reserved;
    return judged;
}

} // namespace coupon_guard
