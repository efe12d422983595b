// Why a quota that is known to have too few units has too few: a coupon that is sold out, say.
//
// It was proven so (take_stripes.cpp): there were fewer units than asked for, and the transactions
// then in progress could not bring as many. From then on there are two ways for a unit to come
// free.
//
//   - A transaction gives it back (a void, a raised cap, a ledger row deleted by plain SQL), or
//     ends the quota. Whoever does so
//       (1) writes it to the quota,
//       (2) then sends an invalidation message to every backend,
//       (3) and only then can commit.
//     Every question takes in first what was sent before. So once the unit could be had, or its
//     giver be waited for, what was kept has been dropped. Could it be kept after that? Only if
//     proven before (1), or else the proof had met the giver; then (2) came after the proof, and is
//     taken in with the next question, or was between proof and keeping, and then the count of
//     returns has moved, and nothing is kept.
//
//   - The deadline of a hold passes. So it is kept until the first deadline. A hold that comes
//     later has a unit that was returned, or that of an expired hold; of a deadline that plain SQL
//     changes there is such a message.
//
// A rollback brings units too: of others only such as were in progress at the proof, and of this
// transaction none, for nothing is kept by one that has written.
//
// A new quota needs no message: there was none before, and without one nothing is proven. Nor does
// one that becomes void: the triggers have changed, and an altered table counts as a return.

#include "quota/sold_out.hpp"

#include "catalog/invalidation.hpp"

namespace coupon_guard {
namespace {

struct short_quota {
    quota_id id;
    int64 amount;      // the least that was refused
    TimestampTz until; // 0, a moment long past, in a slot that is not used
};

constexpr uint64 slot_count = 256; // a power of two
short_quota slots[slot_count];
uint64 kept_returns; // what was noted when the slots were last emptied

short_quota &slot_of(const quota_id &id) {
    return slots[slot_number(id) & (slot_count - 1)];
}

} // namespace

bool is_known_too_few(const quota_id &id, int64 amount, TimestampTz moment) {
    const short_quota &slot = slot_of(id);
    if (moment >= slot.until || amount < slot.amount || !is_same(slot.id, id))
        return false;
    AcceptInvalidationMessages();
    return kept_returns == unit_returns();
}

bool may_remember_sold_out(const installation &guard) {
    return catalog_of(guard).follows_changes && !TransactionIdIsValid(GetTopTransactionIdIfAny());
}

void remember_too_few(const quota_id &id, int64 amount, TimestampTz until, uint64 returns) {
    if (returns != unit_returns())
        return;
    if (kept_returns != returns) {
        memset(slots, 0, sizeof slots);
        kept_returns = returns;
    }
    short_quota &slot = slot_of(id);
    bool says_more = is_same(slot.id, id) && slot.amount <= amount && slot.until >= until;
    if (!says_more)
        slot = {id, amount, until};
}

} // namespace coupon_guard
