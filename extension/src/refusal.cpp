#include "refusal.hpp"

#include "functions.hpp"

namespace coupon_guard {
namespace {

// Class RC is in the range that the SQL standard leaves to implementations.
constexpr int sqlstate_not_found = MAKE_SQLSTATE('R', 'C', '0', '0', '1');
constexpr int sqlstate_inactive = MAKE_SQLSTATE('R', 'C', '0', '0', '2');
constexpr int sqlstate_not_started = MAKE_SQLSTATE('R', 'C', '0', '0', '3');
constexpr int sqlstate_expired = MAKE_SQLSTATE('R', 'C', '0', '0', '4');
constexpr int sqlstate_already_redeemed = MAKE_SQLSTATE('R', 'C', '0', '0', '5');

} // namespace

void report_refusal(const redeem_request &request, const redeem_answer &answer, Datum code) {
    const char *typed = clip_for_message(code);
    switch (answer.status) {
    case status::not_found:
        ereport(ERROR,
                (errcode(sqlstate_not_found), errmsg("coupon \"%s\" does not exist", typed),
                 errdetail("No coupon has this code, whatever the case, blanks and Unicode form."),
                 errhint("Function coupon_key() shows the form by which codes are compared.")));
        break;
    case status::inactive:
        ereport(ERROR, (errcode(sqlstate_inactive), errmsg("coupon \"%s\" is not active", typed),
                        errdetail("Coupon " INT64_FORMAT " has active = false.", answer.offer.id),
                        errhint("Set active = true to let it be redeemed.")));
        break;
    case status::not_started:
        ereport(
            ERROR,
            (errcode(sqlstate_not_started), errmsg("coupon \"%s\" has not started", typed),
             errdetail("It can be redeemed from %s.", timestamptz_to_str(answer.offer.starts_at)),
             errhint("Column starts_at of the coupon says when it starts.")));
        break;
    case status::expired:
        ereport(ERROR, (errcode(sqlstate_expired), errmsg("coupon \"%s\" has expired", typed),
                        errdetail("It could be redeemed until %s.",
                                  timestamptz_to_str(answer.offer.expires_at)),
                        errhint("Column expires_at of the coupon says when it ends.")));
        break;
    case status::already_redeemed:
        ereport(
            ERROR,
            (errcode(sqlstate_already_redeemed),
             errmsg("coupon \"%s\" has already been redeemed by user \"%s\"", typed,
                    clip_for_message(request.user.datum())),
             errdetail("The limit per user is %d; the latest redemption has ID " INT64_FORMAT ".",
                       answer.offer.max_per_user, answer.made.id),
             errhint("Function redeem_coupon() answers with a status instead of an error.")));
        break;
    case status::redeemed:
        break;
    }
    pg_unreachable();
}

} // namespace coupon_guard
