#include "redeem/refusal.hpp"

#include "catalog/sqlstate.hpp"
#include "pg/text_value.hpp"

namespace coupon_guard {

namespace {

bool is_by_campaign(const redeem_answer &answer) {
    return answer.limited_by == limit_owner::campaign;
}

} // namespace

void report_refusal(const redeem_request &request, const redeem_answer &answer, Datum code) {
    const char *typed = clip_for_message(code);
    switch (answer.status) {
    case coupon_status::not_found:
        ereport(ERROR,
                (errcode(sqlstate_not_found), errmsg("coupon \"%s\" does not exist", typed),
                 errdetail("No coupon has this code, whatever the case, blanks and Unicode form."),
                 errhint("Function coupon_key() shows the form by which codes are compared.")));
        break;
    case coupon_status::inactive:
        ereport(ERROR,
                (errcode(sqlstate_inactive), errmsg("coupon \"%s\" is not active", typed),
                 is_by_campaign(answer)
                     ? errdetail("Its campaign " INT64_FORMAT " has active = false.",
                                 answer.coupon.campaign_id)
                     : errdetail("Coupon " INT64_FORMAT " has active = false.", answer.coupon.id),
                 errhint("Set active = true to let it be redeemed.")));
        break;
    case coupon_status::not_started:
        ereport(ERROR,
                (errcode(sqlstate_not_started), errmsg("coupon \"%s\" has not started", typed),
                 errdetail("It can be redeemed from %s.", timestamptz_to_str(answer.bound)),
                 errhint("Column starts_at of the %s says when it starts.",
                         is_by_campaign(answer) ? "campaign" : "coupon")));
        break;
    case coupon_status::expired:
        ereport(ERROR,
                (errcode(sqlstate_expired), errmsg("coupon \"%s\" has expired", typed),
                 errdetail("It could be redeemed until %s.", timestamptz_to_str(answer.bound)),
                 errhint("Column expires_at of the %s says when it ends.",
                         is_by_campaign(answer) ? "campaign" : "coupon")));
        break;
    case coupon_status::already_redeemed:
        ereport(ERROR,
                (errcode(sqlstate_already_redeemed),
                 errmsg("coupon \"%s\" has already been redeemed by user \"%s\"", typed,
                        clip_for_message(request.user.datum())),
                 errdetail("The limit per user%s is " INT64_FORMAT
                           "; the latest redemption has ID " INT64_FORMAT ".",
                           is_by_campaign(answer) ? " of its campaign" : "", answer.bound,
                           answer.made.id),
                 errhint("Function redeem_coupon() answers with a status instead of an error.")));
        break;
    case coupon_status::sold_out:
        if (answer.is_by_shard)
            ereport(ERROR,
                    (errcode(sqlstate_sold_out), errmsg("coupon \"%s\" is sold out", typed),
                     errdetail("All that this shard may give of %s%s, " INT64_FORMAT
                               ", is redeemed or held.",
                               is_by_campaign(answer) ? "its campaign's " : "its ",
                               is_budget(answer.limit) ? "budget" : "units", answer.bound),
                     errhint("Other shards may have more: function gather_units() of a router "
                             "brings it.")));
        if (is_budget(answer.limit))
            ereport(ERROR,
                    (errcode(sqlstate_sold_out), errmsg("coupon \"%s\" is sold out", typed),
                     errdetail("All of %s budget of " INT64_FORMAT " is redeemed or held.",
                               is_by_campaign(answer) ? "its campaign's" : "its", answer.bound),
                     errhint("Raise the budget to let more be redeemed.")));
        ereport(ERROR, (errcode(sqlstate_sold_out), errmsg("coupon \"%s\" is sold out", typed),
                        errdetail("All " INT64_FORMAT " units%s are redeemed or held.",
                                  answer.bound, is_by_campaign(answer) ? " of its campaign" : ""),
                        errhint("Raise max_redemptions to let more be redeemed.")));
        break;
    case coupon_status::insufficient:
        ereport(ERROR, (errcode(sqlstate_insufficient),
                        errmsg("the budget of coupon \"%s\" is insufficient", typed),
                        errdetail(INT64_FORMAT " of %s" INT64_FORMAT
                                               " is left; the amount is " INT64_FORMAT ".",
                                  answer.left, is_by_campaign(answer) ? "its campaign's " : "",
                                  answer.bound, request.amount),
                        errhint("With up_to => true what is left is taken.")));
        break;
    case coupon_status::reserved:
        ereport(ERROR,
                (errcode(sqlstate_reserved),
                 errmsg("coupon \"%s\" is reserved for another user", typed),
                 errdetail("Coupon " INT64_FORMAT " has a holder, who is not user \"%s\".",
                           answer.coupon.id, clip_for_message(request.user.datum())),
                 errhint("Column holder of the coupon says who may redeem it; NULL: anybody.")));
        break;
    case coupon_status::throttled:
        ereport(ERROR,
                (errcode(sqlstate_throttled), errmsg("too many attempts"),
                 errdetail("The next may be made at %s.", timestamptz_to_str(answer.retry_at)),
                 errhint("Settings coupon_guard.throttle_... say how many are allowed.")));
        break;
    case coupon_status::voided:
        ereport(ERROR, (errcode(sqlstate_voided),
                        errmsg("the redemption of request id \"%s\" has been voided",
                               clip_for_message(request.request.datum())),
                        errdetail("It has ID " INT64_FORMAT ".", answer.made.id),
                        errhint("Use a new request id to redeem coupon \"%s\" again.", typed)));
        break;
    case coupon_status::redeemed:
    case coupon_status::held:
    case coupon_status::withheld:
    case coupon_status::claimed:
    case coupon_status::released:
    case coupon_status::unavailable:
        break;
    }
    pg_unreachable();
}

void report_endless_hold() {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("ttl must be finite")));
    pg_unreachable();
}

void report_reused_request(const request_id &request) {
    ereport(ERROR, (errcode(sqlstate_reused_request),
                    errmsg("request id \"%s\" has been used for another coupon",
                           clip_for_message(request.datum())),
                    errdetail("A request id stands for one redemption of one coupon by one user."),
                    errhint("Use a new request id for a new request.")));
    pg_unreachable();
}

void report_more_than_held(const redemption &hold, int64 amount) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("amount exceeds what redemption " INT64_FORMAT " holds", hold.id),
                    errdetail("It holds " INT64_FORMAT "; the amount is " INT64_FORMAT ".",
                              hold.amount, amount)));
    pg_unreachable();
}

void report_more_than_redeemed(const redemption &found, int64 amount) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("amount exceeds that of redemption " INT64_FORMAT, found.id),
                    errdetail("It has " INT64_FORMAT "; the amount is " INT64_FORMAT ".",
                              found.amount, amount)));
    pg_unreachable();
}

void report_missing_campaign(const coupon_row &coupon) {
    ereport(ERROR, (errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
                    errmsg("campaign " INT64_FORMAT " of coupon " INT64_FORMAT " does not exist",
                           coupon.campaign_id, coupon.id),
                    errdetail("Table \"campaign\" has no row with this ID.")));
    pg_unreachable();
}

void report_lost_owner(limit_owner owner, int64 id) {
    ereport(ERROR, (errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
                    errmsg("%s " INT64_FORMAT " was deleted, or got another ID, while its "
                           "redemption was being written",
                           name_of(owner), id),
                    errdetail("A trigger of the redemption's has done that.")));
    pg_unreachable();
}

void report_unknown_redemption(int64 id) {
    ereport(ERROR, (errcode(sqlstate_unknown_redemption),
                    errmsg("redemption " INT64_FORMAT " does not exist", id),
                    errdetail("No committed row of the ledger has this ID."),
                    errhint("Use the redemption_id that redeem_coupon() or hold_coupon() gave.")));
    pg_unreachable();
}

} // namespace coupon_guard
