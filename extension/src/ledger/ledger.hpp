// The ledger: what a user has redeemed of a coupon, and changes to it.
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

inline bool is_hold(const redemption &found) {
    return found.hold_expires_at != no_deadline;
}

// A user's uses of a coupon, and whether another one is allowed.
struct uses_of_user {
    outcome is_allowed;   // no: the limit is reached; latest is the latest redemption, or hold
    int32 free_use_no;    // if it is allowed
    int32 count;          // live redemptions and holds, as far as they were counted
    bool has_hold;        // latest is a hold that the request may use: before all else
    bool has_lapsed_hold; // latest is another request's hold, which has passed its deadline
    redemption latest;
};
static_assert(std::is_trivially_destructible_v<uses_of_user>);

// What the ledger says of this user and coupon at this moment, transactions in progress included.
// A hold belongs to the request (may be null) that placed it: a request may use its own, one that
// no request id was given for, and any if it has no id itself. Reads only.
uses_of_user read_uses(const installation &guard, const coupon_row &coupon, const user_id &user,
                       const request_id *request, TimestampTz moment);

// The same in the newest committed state, for those who only look.
struct committed_uses {
    int32 count; // redemptions and live holds
    bool has_hold;
    bool has_live_hold;
};
committed_uses read_committed_uses(const installation &guard, const coupon_row &coupon,
                                   const user_id &user, TimestampTz moment);

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

// Voids a hold whose deadline has passed. Waits for whoever has the row.
outcome void_expired_hold(const installation &guard, const redemption &expired, TimestampTz moment);

// Voids one of the coupon's holds whose deadline has passed, whoever's it is, so that the caller
// can use its unit. no if there is none; undecided if there is one, but a rival has it, or (unless
// it may wait) has its lock. has_waited is set if the lock of a row was waited for.
outcome take_over_expired_hold(const installation &guard, int64 coupon_id, TimestampTz moment,
                               bool may_wait, bool &has_waited);

// When the first of the coupon's holds ends, those that a transaction in progress is changing
// included; no_deadline if there is none.
TimestampTz first_hold_deadline(const installation &guard, int64 coupon_id);

// Whether a transaction in progress has made or is ending one of the coupon's live rows: undecided.
outcome find_row_in_progress(const installation &guard, int64 coupon_id);

// The coupon's live rows, none of which a transaction in progress has made or is ending: such
// transactions are waited for. The caller sees to it that none begins meanwhile that makes or ends
// one with a unit of a quota.
int64 count_settled_rows(const installation &guard, int64 coupon_id);

// Whether the coupon has a live row, or a transaction in progress is making one.
bool has_live_rows(const installation &guard, int64 coupon_id);

// The coupon's live rows in the newest committed state, and those of them that are holds whose
// deadline has passed.
int64 count_committed_rows(const installation &guard, int64 coupon_id);
int64 count_expired_holds(const installation &guard, int64 coupon_id, TimestampTz moment);

// The holds whose deadline has passed, those that transactions in progress are changing included,
// counted no further than enough. Those that are ended by a transaction in progress may come back;
// of this moment's there will never be more.
int64 count_holds_expiring(const installation &guard, int64 coupon_id, TimestampTz moment,
                           int64 enough);

// Whether the ledger holds any row (of the coupon) in the newest committed state.
bool has_redemptions(const installation &guard, int64 coupon_id);
bool has_redemptions(const installation &guard);

} // namespace coupon_guard
