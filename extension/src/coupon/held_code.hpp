// Codes of a campaign, and who holds them: coupon.holder.
#pragma once

#include "coupon/coupon.hpp"
#include "pg/scan.hpp"

namespace coupon_guard {

// A code as it was read, and where. What is text or jsonb is the caller's copy.
struct campaign_code {
    int64 id;
    Datum code;
    Datum terms;
    bool has_terms;
    ItemPointerData row;
    TransactionId creator; // of this version
};
static_assert(std::is_trivially_copyable_v<campaign_code>);

// Reads the row at hand of a scan of table coupon.
campaign_code read_code(const installation &guard, const index_scan &scan);

// The code of the campaign that the user (text, as in the ledger) holds in the newest committed
// state, and what the transaction itself did: found. undecided: a transaction in progress gives the
// user one. The caller has locked the table in ROW EXCLUSIVE mode.
outcome find_held_code(const installation &guard, int64 campaign_id, Datum user,
                       campaign_code &found);

// Makes the user the holder of a code, or, without one, nobody. no: another transaction has its row
// locked (only if not told to wait); undecided: this is not its newest version any more. The caller
// has locked the table in ROW EXCLUSIVE mode.
// Errors: whatever constraints and triggers on coupon raise, 23505 if plain SQL has just given the
// user another code of the campaign; 27000, 09000 as for update_row(); 40001.
outcome change_holder(const installation &guard, const campaign_code &code, Datum user,
                      bool has_user, LockWaitPolicy wait);

// Waits until nobody else has the code's row locked, and locks it, if it is still the same version.
// Errors: lock_timeout, statement_timeout, deadlock, cancel.
void wait_for_code(const installation &guard, const campaign_code &code);

} // namespace coupon_guard
