#include "postgres.hpp"

#include <future>
#include <memory>
#include <vector>

#include <coupon_guard/client.hpp>
#include <coupon_guard/group_client.hpp>

#include "wakeup.hpp"

namespace callers {

namespace {

/// All but the number of connections is as users get it.
coupon_guard::group_client_options group_options(const database &where, int connections) {
    coupon_guard::group_client_options options;
    options.schema = where.schema;
    options.connections = connections;
    return options;
}

/// A caller of the event loop, who waits for an answer.
struct waiting_caller {
    clock::time_point asked;
    std::future<coupon_guard::redemption> answer;
};

void ask(waiting_caller &caller, coupon_guard::group_client &coupons, request_source &source) {
    const request wanted = source.next();
    caller.asked = clock::now();
    caller.answer = coupons.redeem_later(wanted.user, wanted.code);
}

bool is_answered(const waiting_caller &caller) {
    return caller.answer.valid() &&
           caller.answer.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
}

} // namespace

tally ask_by_connections(const load &wanted, const request_source &source, const database &where) {
    coupon_guard::client_options options;
    options.schema = where.schema;
    return ask_in_threads(wanted, source, [&]() -> asking {
        const auto own = std::make_shared<coupon_guard::client>(where.conninfo, options);
        return [own](const request &each) { return own->redeem(each.user, each.code).redeemed(); };
    });
}

tally ask_by_group(const load &wanted, const request_source &source, const database &where,
                   int connections) {
    coupon_guard::group_client coupons{where.conninfo, group_options(where, connections)};
    return ask_in_threads(wanted, source, [&]() -> asking {
        return [&](const request &each) { return coupons.redeem(each.user, each.code).redeemed(); };
    });
}

tally ask_by_futures(const load &wanted, request_source source, const database &where,
                     int connections) {
    wakeup answered; // first: the group_client's threads call it until that is gone
    auto options = group_options(where, connections);
    options.when_ready = [&] { answered.signal(); };
    coupon_guard::group_client coupons{where.conninfo, options};

    std::vector<waiting_caller> all(static_cast<std::size_t>(wanted.callers));
    const window open{wanted, clock::now()};
    for (waiting_caller &each : all)
        ask(each, coupons, source);
    tally counted;
    for (std::size_t waiting = all.size(); waiting > 0;) {
        answered.wait();
        for (waiting_caller &each : all) {
            if (!is_answered(each))
                continue;
            const bool is_redeemed = each.answer.get().redeemed();
            const auto ended = clock::now();
            counted.add(open, each.asked, ended, is_redeemed);
            if (open.is_over(ended))
                --waiting;
            else
                ask(each, coupons, source);
        }
    }
    return counted;
}

} // namespace callers
