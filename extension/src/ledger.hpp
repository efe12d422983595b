// The ledger: what a user has redeemed of a coupon, and changes to it.
#pragma once

#include "catalog.hpp"
#include "coupon.hpp"
#include "pg/scan.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {

inline constexpr std::size_t max_user_id_bytes = 255;
inline constexpr std::size_t max_request_id_bytes = 255;
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
    ItemPointerData row; // where its version is that was read
};

inline bool is_hold(const redemption &found) {
    return found.hold_expires_at != no_deadline;
}

enum class allowance : unsigned char {
    free,      // the user may redeem, as use number free_use_no
    has_hold,  // the user has a hold of this coupon: latest
    used_up,   // latest is the user's latest redemption
    undecided, // it depends on how rival ends
};

struct usage {
    allowance verdict;
    int32 free_use_no;
    int32 uses; // live redemptions and holds, as far as they were counted
    redemption latest;
    struct rival rival;
};
static_assert(std::is_trivially_destructible_v<usage>);

// What the ledger says of this user and coupon, transactions in progress included. Reads only.
usage read_usage(const schema &objects, const coupon &offer, const user_id &user);

// The same in the newest committed state, for those who only look.
struct user_state {
    int32 uses; // redemptions and live holds
    bool has_hold;
    bool has_live_hold;
};
user_state read_user_state(const schema &objects, const coupon &offer, const user_id &user,
                           TimestampTz moment);

enum class lookup : unsigned char { found, missing, undecided };

// The redemption that the user has made under this request id.
lookup find_request(const schema &objects, const user_id &user, const request_id &request,
                    redemption &found, rival &rival);

// The redemption with this id in the newest committed state.
bool find_redemption(const schema &objects, int64 id, redemption &found);

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
bool append_redemption(const schema &objects, const new_redemption &wanted, redemption &written);

// What update functions found when they came to the row.
enum class row_change : unsigned char {
    done,
    stale, // the row has changed since it was read: look again
    busy,  // a transaction in progress has it (only if not told to wait)
};

// Turns a hold into a redemption at this moment; a request id or metadata, if given, replace what
// the hold has. Waits for whoever has the row.
row_change confirm_hold_row(const schema &objects, const redemption &hold, TimestampTz moment,
                            const request_id *request, Datum metadata, bool has_metadata);

// Gives a hold another deadline. Waits for whoever has the row.
row_change extend_hold_row(const schema &objects, const redemption &hold, TimestampTz deadline);

// Marks a redemption or hold as given back; what becomes of its unit is up to the caller.
row_change void_row(const schema &objects, const redemption &found, TimestampTz moment,
                    Datum reason, bool has_reason, LockWaitPolicy wait);

// Voids one of the coupon's holds whose deadline has passed, whoever's it is, so that the caller
// can use its unit. missing if there is none; undecided if there is one, but a rival has it (or,
// with no transaction named in rival, has just had it: look again).
lookup take_over_expired_hold(const schema &objects, int64 coupon_id, TimestampTz moment,
                              rival &rival);

// When the first of the coupon's holds ends, those that a transaction in progress is changing
// included; no_deadline if there is none.
TimestampTz first_hold_deadline(const schema &objects, int64 coupon_id);

// Counts the coupon's live rows; undecided if a transaction in progress is changing one.
lookup count_live_rows(const schema &objects, int64 coupon_id, int64 &count, rival &rival);

// The coupon's live rows in the newest committed state, and those of them that are holds whose
// deadline has passed.
int64 count_rows_of(const schema &objects, int64 coupon_id);
int64 count_expired_holds(const schema &objects, int64 coupon_id, TimestampTz moment);

// Whether the ledger holds any row (of the coupon) in the newest committed state.
bool has_redemptions(const schema &objects, int64 coupon_id);
bool has_redemptions(const schema &objects);

} // namespace coupon_guard
