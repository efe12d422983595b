// The ledger: its rows, found by id or request, written and changed. What they say of a user is in
// uses.hpp, what of a coupon or a campaign in limit_use.hpp.
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
    int64 amount; // 0: none
    bool has_campaign;
    int64 campaign_id;
    int32 campaign_use_no; // beyond any limit if nobody has numbered it (an import)
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
    int64 amount; // 0: none
    bool has_campaign;
    int64 campaign_id;
    int32 campaign_use_no;
    TimestampTz moment;
    TimestampTz hold_expires_at; // no_deadline: no hold
    const request_id *request;   // or null
    Datum metadata;              // jsonb
    bool has_metadata;
};

// Writes the redemption and makes it visible to the caller's next statement. False, with nothing
// written, if a rival has taken a use number or the request id since they were looked up.
bool append_redemption(const installation &guard, const new_redemption &wanted,
                       redemption &written);

// Changes of a row that was read before. yes: done; no: the row has changed since, look again;
// undecided: another transaction has it (only if not told to wait).

// What is to be done when the row is locked and is certain to be changed, before the shop's
// triggers run: its units are given back, so that a trigger may redeem them.
struct before_change {
    void (*act)(const installation &guard, const void *context);
    const void *context;
};

// Turns a hold into a redemption at this moment, of this amount; a request id or metadata, if
// given, replace what the hold has. Waits for whoever has the row.
outcome confirm_hold_row(const installation &guard, const redemption &hold, TimestampTz moment,
                         int64 amount, const request_id *request, Datum metadata, bool has_metadata,
                         const before_change &first);

// Gives a hold another deadline, or the same, and the request id, if one is given. Waits for
// whoever has the row.
outcome keep_hold_row(const installation &guard, const redemption &hold, TimestampTz deadline,
                      const request_id *request);

// Marks a redemption or hold as given back; what becomes of its units is up to the caller. Waits
// for whoever has the row.
outcome void_row(const installation &guard, const redemption &found, TimestampTz moment,
                 Datum reason, bool has_reason, const before_change &first);

// Leaves a redemption or hold this amount. Waits for whoever has the row.
outcome reduce_row(const installation &guard, const redemption &found, int64 amount,
                   const before_change &first);

// Voids a hold whose deadline has passed.
outcome void_expired_hold(const installation &guard, const redemption &expired, TimestampTz moment,
                          LockWaitPolicy wait);

} // namespace coupon_guard
