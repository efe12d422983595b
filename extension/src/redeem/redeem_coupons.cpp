// The codes are redeemed in one order, whoever gives them in which: by their campaigns, and those
// of a campaign by their coupons; so is what they claim (claims.cpp), each campaign's quotas before
// those of its coupons. So two calls that want the last units of several coupons do not wait for
// each other in a circle. (Of a coupon that moves to another campaign meanwhile they may: 40P01.)

#include "redeem/redeem_coupons.hpp"

#include "pg/subtransaction.hpp"

namespace coupon_guard {
namespace {

struct place {
    int64 campaign_id; // what has none comes first
    int64 coupon_id;   // what is not found comes before that
    int request;
};

int compare_places(const void *a, const void *b) {
    const place &left = *static_cast<const place *>(a);
    const place &right = *static_cast<const place *>(b);
    if (left.campaign_id != right.campaign_id)
        return left.campaign_id < right.campaign_id ? -1 : 1;
    if (left.coupon_id != right.coupon_id)
        return left.coupon_id < right.coupon_id ? -1 : 1;
    return left.request - right.request;
}

place *order_of_work(const installation &guard, redeem_request *requests, int count) {
    place *order = static_cast<place *>(palloc(sizeof(place) * count));
    for (int i = 0; i < count; i++) {
        coupon_row found;
        bool exists = !requests[i].is_throttled && find_coupon(guard, requests[i].key, found);
        order[i].coupon_id = exists ? found.id : PG_INT64_MIN;
        order[i].campaign_id = exists && found.has_campaign ? found.campaign_id : PG_INT64_MIN;
        order[i].request = i;
    }
    qsort(order, count, sizeof(place), compare_places);
    for (int i = 0; i < count; i++) {
        bool is_next = i > 0 && order[i].coupon_id == order[i - 1].coupon_id;
        requests[order[i].request].part = is_next ? requests[order[i - 1].request].part + 1 : 1;
    }
    return order;
}

// True if all succeeded.
bool redeem_in_order(const installation &guard, const redeem_request *requests,
                     redeem_answer *answers, tally *spent, const place *order, int count) {
    bool all = true;
    tally before = {};
    for (int i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        redeem_answer &answer = answers[order[i].request];
        answer = redeem(guard, requests[order[i].request]);
        all &= is_success(answer.status);
        spent[order[i].request] = since(tallied, before);
        before = tallied;
    }
    return all;
}

bool is_undone(const redeem_answer &answer) {
    return is_success(answer.status) && !answer.is_replayed;
}

// A code named twice may have been refused for what was undone: then there is no redemption to
// name.
void withhold(redeem_answer *answers, int count) {
    for (int i = 0; i < count; i++)
        for (int j = 0; j < count; j++)
            if (!is_success(answers[i].status) && is_undone(answers[j]) &&
                answers[i].made.id == answers[j].made.id)
                answers[i].has_redemption = false;
    for (int i = 0; i < count; i++) {
        if (!is_undone(answers[i]))
            continue;
        answers[i].status = coupon_status::withheld;
        answers[i].has_redemption = false;
    }
}

} // namespace

void redeem_coupons(const installation &guard, redeem_request *requests, redeem_answer *answers,
                    tally *spent, int count) {
    const place *order = order_of_work(guard, requests, count);
    bool all = in_subtransaction(
        [&] { return redeem_in_order(guard, requests, answers, spent, order, count); });
    if (!all)
        withhold(answers, count);
}

} // namespace coupon_guard
