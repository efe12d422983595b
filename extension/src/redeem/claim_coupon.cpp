// How a claim flows:
//
//   1. Lock coupon as any UPDATE does, then read the campaign in its newest committed state.
//   2. Wait for the turn: of calls for one user and one campaign one goes through 3 to 5 at a time.
//   3. Does the user hold a code of the campaign? That is the answer, whatever has become of the
//      campaign since. Undecided: a transaction in progress gives the user one: wait, start over.
//   4. Judge the campaign: active, within its window.
//   5. Take a code that is free (free_codes.cpp). None: sold_out. Undecided: wait, start over.
//
// The turn is no promise: that a user holds one code is kept by coupon_campaign_holder_unique,
// whoever writes holders. It is there so that the second of two calls for one user finds the code
// of the first, in progress or not, and is not refused by the index (23505) with another code
// already in its hands. It is given back before a rival is waited for, and with the end of the call
// at the latest; then the entry of the code that has been taken is in the index, for the next call
// to find. So it is in no circle, unless triggers of the shop wait for something meanwhile, or the
// index does for plain SQL that has just given the user a code (23505, if that commits).
//
// Waiting is for a transaction to end, or for the lock of the last codes' rows, with nothing held
// meanwhile but what the transaction has taken before. Two transactions that claim codes of two
// campaigns, in opposite orders, can wait in a circle when these run out; the server ends one
// (40P01).

#include "redeem/claim_coupon.hpp"

#include "coupon/campaign.hpp"
#include "pg/earlier_commit.hpp"
#include "redeem/free_codes.hpp"

extern "C" {
#include "common/hashfn.h"
}

namespace coupon_guard {
namespace {

outcome end_with(claim_answer &answer, coupon_status what) {
    answer.status = what;
    return decided(true);
}

outcome end_with(claim_answer &answer, coupon_status what, const campaign_code &code) {
    answer.code = code;
    answer.has_code = true;
    return end_with(answer, what);
}

// A lock of the server's on what stands for a user of a campaign. Two that share a number only wait
// for each other's turn.
struct turn {
    Oid table;
    Oid number;
};

turn begin_turn(const installation &guard, int64 campaign_id, const user_id &user) {
    uint32 of_user = hash_bytes(reinterpret_cast<const unsigned char *>(user.bytes),
                                static_cast<int>(user.length()));
    const turn taken = {catalog_of(guard).campaign_table,
                        hash_combine(of_user, static_cast<uint32>(campaign_id))};
    lock_object(taken.table, taken.number, ExclusiveLock);
    return taken;
}

void end_turn(const turn &taken) {
    UnlockDatabaseObject(taken.table, taken.number, 0, ExclusiveLock);
}

outcome claim_in_turn(const installation &guard, const campaign_row &campaign, const user_id &user,
                      claim_answer &answer, busy_code &busy) {
    campaign_code code;
    outcome held = find_held_code(guard, campaign.id, user.datum(), code);
    if (is_undecided(held))
        return held;
    answer.is_replayed = is_yes(held);
    if (answer.is_replayed) {
        rest_on_earlier_commit();
        return end_with(answer, coupon_status::claimed, code);
    }
    TimestampTz now = GetCurrentTimestamp();
    coupon_status judged = judge_window(campaign, now);
    if (judged != coupon_status::redeemed)
        return end_with(answer, judged);
    outcome taken = take_free_code({guard, campaign.id, user, now}, code, busy);
    if (is_undecided(taken))
        return taken;
    return is_yes(taken) ? end_with(answer, coupon_status::claimed, code)
                         : end_with(answer, coupon_status::sold_out);
}

void show_terms(const campaign_row &campaign, claim_answer &answer) {
    if (answer.status == coupon_status::claimed && answer.has_code && !answer.code.has_terms &&
        campaign.has_terms) {
        answer.code.terms = campaign.terms;
        answer.code.has_terms = true;
    }
}

outcome claim_round(const installation &guard, const user_id &user, const code_key &name,
                    claim_answer &answer) {
    memset(&answer, 0, sizeof answer);
    lock_table(guard, &catalog::coupon_table, RowExclusiveLock);
    campaign_row campaign;
    if (!find_campaign(guard, name, campaign))
        return end_with(answer, coupon_status::not_found);
    busy_code busy = {};
    const turn taken = begin_turn(guard, campaign.id, user);
    outcome end = claim_in_turn(guard, campaign, user, answer, busy);
    end_turn(taken);
    if (busy.is_there)
        wait_for_code(guard, busy.code);
    show_terms(campaign, answer);
    return end;
}

outcome release_round(const installation &guard, const user_id &user, const code_key &name,
                      claim_answer &answer) {
    memset(&answer, 0, sizeof answer);
    lock_table(guard, &catalog::coupon_table, RowExclusiveLock);
    campaign_row campaign;
    if (!find_campaign(guard, name, campaign))
        return end_with(answer, coupon_status::not_found);
    campaign_code code;
    outcome held = find_held_code(guard, campaign.id, user.datum(), code);
    if (is_no(held))
        return end_with(answer, coupon_status::not_found);
    if (is_undecided(held))
        return held;
    outcome unused = is_unused(guard, code.id, GetCurrentTimestamp());
    if (is_undecided(unused))
        return unused;
    if (is_no(unused))
        return end_with(answer, coupon_status::already_redeemed, code);
    outcome changed = change_holder(guard, code, Datum{0}, false, LockWaitBlock);
    return is_yes(changed) ? end_with(answer, coupon_status::released, code) : look_again();
}

} // namespace

claim_answer claim_coupon(const installation &guard, const user_id &user,
                          const code_key &campaign) {
    claim_answer answer;
    until_decided([&] { return claim_round(guard, user, campaign, answer); });
    return answer;
}

claim_answer release_claim(const installation &guard, const user_id &user,
                           const code_key &campaign) {
    claim_answer answer;
    until_decided([&] { return release_round(guard, user, campaign, answer); });
    return answer;
}

} // namespace coupon_guard
