// The ledger: its rows, found by id or request, written and changed. What they say of a user is in
// uses.hpp, what of a coupon in coupon_use.hpp.
#pragma once

#include "coupon/coupon.hpp"
#include "pg/scan.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {

inline constexpr std::size_t max_user_id_bytes = 255;
inline constexpr std::size_t max_request_id_bytes = 255;
// Of that, room for what tells the coupons apart that are redeemed under one request id.
inline constexpr std::size_t max_request_suffix_bytes = 27;
using user_id = text_value<max_user_id_bytes>;
using request_id = text_value<max_request_id_bytes>;

inline constexpr TimestampTz no_deadline = DT_NOEND;

// A row of the ledger.
struct redemption {
    int64 id;
    int64 coupon_id;
    int32 use_no;
    TimestampTz redeemed_at;
    TimestampTz hold_expires_at; // no_deadline unless it is a hold
    bool is_voided;
    bool has_lapsed;     // a hold that was voided after its deadline
    bool has_request;    // a request id
    ItemPointerData row; // where its version is that was read
};

// The row at hand in a scan.
redemption read_redemption(const ledger_columns &columns, const index_scan &scan);

inline bool is_hold(const redemption &found) {
    return found.hold_expires_at != no_deadline;
}

// Whether the user has made a redemption under this request id: found.
outcome find_request(const installation &guard, const user_id &user, const request_id &request,
                     redemption &found);

// The redemption with this id in the newest committed state.
bool find_redemption(const installation &guard, int64 id, redemption &found);

struct new_redemption {
    int64 coupon_id;
    const user_id *user;
    int32 use_no;
    TimestampTz moment;
    TimestampTz hold_expires_at; // no_deadline: no hold
    const request_id *request;   // or null
    Datum metadata;              // jsonb
    bool has_metadata;
};

// Writes the redemption and makes it visible to the caller's next statement. False, with nothing
// written, if a rival has taken the use number or the request id since they were looked up.
bool append_redemption(const installation &guard, const new_redemption &wanted,
                       redemption &written);

// Changes of a row that was read before. yes: done; no: the row has changed since, look again;
// undecided: another transaction has it (only if not told to wait).

// Turns a hold into a redemption at this moment; a request id or metadata, if given, replace what
// the hold has. Waits for whoever has the row.
outcome confirm_hold_row(const installation &guard, const redemption &hold, TimestampTz moment,
                         const request_id *request, Datum metadata, bool has_metadata);

// Gives a hold another deadline, or the same, and the request id, if one is given. Waits for
// whoever has the row.
outcome keep_hold_row(const installation &guard, const redemption &hold, TimestampTz deadline,
                      const request_id *request);

// Marks a redemption or hold as given back; what becomes of its unit is up to the caller.
// before_change, if given, is called when the row is locked and is certain to be voided: before the
// shop's triggers run. Waits for whoever has the row.
using void_action = void (*)(const installation &guard, int64 coupon_id);
outcome void_row(const installation &guard, const redemption &found, TimestampTz moment,
                 Datum reason, bool has_reason, void_action before_change);

// Voids a hold whose deadline has passed.
outcome void_expired_hold(const installation &guard, const redemption &expired, TimestampTz moment,
                          LockWaitPolicy wait);

} // namespace coupon_guard
