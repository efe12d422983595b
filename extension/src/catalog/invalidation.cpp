// Messages of the relation cache: that a coupon or a campaign has changed, and that units came
// back, each in the name of a relation that is there for nothing else, so that nothing that a
// redemption needs is built anew for it. (In the name of their table, each claim of a code had
// every backend prove all tables anew.)
//
// A standby gets no such messages: there nothing is remembered (coupon_cache.cpp).

#include "catalog/invalidation.hpp"

namespace coupon_guard {
namespace {

uint64 noted_coupon_changes;
uint64 noted_unit_returns;

void send_invalidation(Oid relation) {
    SharedInvalidationMessage message;
    memset(&message, 0, sizeof message); // padding included: it is copied to shared memory
    message.rc.id = SHAREDINVALRELCACHE_ID;
    message.rc.dbId = MyDatabaseId;
    message.rc.relId = relation;
    SendSharedInvalidMessages(&message, 1);
}

} // namespace

void send_coupon_change(const installation &guard) {
    send_invalidation(catalog_of(guard).changes_relation);
}

void send_unit_return(const installation &guard) {
    send_invalidation(catalog_of(guard).returns_relation);
}

uint64 coupon_changes() {
    return noted_coupon_changes;
}

uint64 unit_returns() {
    return noted_unit_returns;
}

void note_invalidation(Oid relation, const catalog &known) {
    bool is_any = relation == InvalidOid;
    bool is_coupon = is_any || relation == known.coupon_table || relation == known.changes_relation;
    if (is_coupon)
        noted_coupon_changes++;
    if (is_coupon || relation == known.ledger_table || relation == known.quota_table ||
        relation == known.returns_relation)
        noted_unit_returns++;
}

} // namespace coupon_guard
