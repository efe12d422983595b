#include "load.hpp"

#include <future>
#include <utility>

namespace callers {

void tally::add(const window &open, clock::time_point asked, clock::time_point answered,
                bool is_redeemed) {
    ++answers;
    redeemed += is_redeemed ? 1 : 0;
    if (open.has(answered))
        latencies.push_back(
            std::chrono::duration_cast<std::chrono::microseconds>(answered - asked));
}

void tally::add(const tally &other) {
    answers += other.answers;
    redeemed += other.redeemed;
    latencies.insert(latencies.end(), other.latencies.begin(), other.latencies.end());
}

request_source::request_source(std::string code, int coupons)
    : code_{std::move(code)}
    , random_{std::random_device{}()}
    , coupon_{coupons > 0 ? 1 : 0, coupons} {}

request request_source::next() {
    const std::int64_t user = user_(random_);
    return {user, coupon_.max() > 0 ? std::to_string(coupon_(random_)) : code_};
}

namespace {

tally ask_until_over(const asking &ask, request_source source, const window &open) {
    tally counted;
    for (auto began = clock::now(); !open.is_over(began);) {
        const bool is_redeemed = ask(source.next());
        const auto ended = clock::now();
        counted.add(open, began, ended, is_redeemed);
        began = ended;
    }
    return counted;
}

} // namespace

tally ask_in_threads(const load &wanted, const request_source &source,
                     const std::function<asking()> &connect) {
    std::vector<asking> connected;
    while (connected.size() < static_cast<std::size_t>(wanted.callers))
        connected.push_back(connect());

    std::promise<window> start;
    const std::shared_future<window> started = start.get_future().share();
    std::vector<std::future<tally>> threads;
    for (const asking &each : connected)
        threads.push_back(std::async(std::launch::async, [&each, &started, like = source] {
            return ask_until_over(each, like.anew(), started.get());
        }));
    start.set_value(window{wanted, clock::now()});
    tally counted;
    for (auto &each : threads)
        counted.add(each.get());
    return counted;
}

} // namespace callers
