#include "coupon.hpp"

#include "pg/scan.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {
namespace {

coupon read_coupon(const coupon_columns &columns, const index_scan &scan) {
    coupon found;
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.active = DatumGetBool(column_of(scan, columns.active));
    found.starts_at =
        DatumGetTimestampTz(column_or(scan, columns.starts_at, TimestampTzGetDatum(DT_NOBEGIN)));
    found.expires_at =
        DatumGetTimestampTz(column_or(scan, columns.expires_at, TimestampTzGetDatum(DT_NOEND)));
    found.max_per_user =
        DatumGetInt32(column_or(scan, columns.max_per_user, Int32GetDatum(no_limit)));
    found.terms = column_or(scan, columns.terms, Datum{0});
    found.has_terms = found.terms != Datum{0};
    if (found.has_terms) // while the snapshot still protects what may be toasted
        found.terms = PointerGetDatum(PG_DETOAST_DATUM_COPY(found.terms));
    return found;
}

} // namespace

bool find_coupon(const schema &objects, const code_key &key, coupon &found) {
    if (key.error != code_key_error::none)
        return false; // no coupon can have such a code
    text_value<max_ascii_code_key_bytes> key_text;
    key_text.assign(key.bytes, key.length);
    ScanKeyData keys[] = {equals_text(1, key_text.datum())};

    // An MVCC snapshot, for a scan that judges each row by itself can miss a row that is being
    // updated: it may see neither the new version, not yet committed, nor the old one, by then
    // dead.
    Snapshot newest = RegisterSnapshot(GetLatestSnapshot());
    index_scan scan = begin_scan(objects.coupon_table, objects.coupon_key_index, newest, keys, 1);
    bool exists = next_row(scan);
    if (exists) {
        depend_on_row(scan);
        found = read_coupon(objects.coupon, scan);
    }
    end_scan(scan);
    UnregisterSnapshot(newest);
    return exists;
}

status judge_coupon(const coupon &offer, TimestampTz moment) {
    if (!offer.active)
        return status::inactive;
    if (moment < offer.starts_at)
        return status::not_started;
    if (moment >= offer.expires_at)
        return status::expired;
    return status::redeemed;
}

} // namespace coupon_guard
