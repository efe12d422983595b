/// Many customers at once, over two connections: those who come while they are busy are redeemed
/// together, in one transaction. The connection is that of the PG* environment variables.
///
///     ./group CODE USER...

#include <future>
#include <iostream>
#include <string>
#include <vector>

#include <coupon_guard/group_client.hpp>

namespace {

/// What a thread of a web server does for its request.
std::string redeem(coupon_guard::group_client &coupons, std::int64_t user,
                   const std::string &code) {
    try {
        const auto answer = coupons.redeem(user, code, {"checkout of " + std::to_string(user)});
        return std::string{to_string(answer.status)};
    } catch (const coupon_guard::not_sent &) {
        return "busy"; // nothing has been done, and may be asked for again
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 3) {
        std::cerr << "usage: group CODE USER...\n";
        return 2;
    }
    const std::string code = argv[1];
    std::vector<std::int64_t> users;
    for (int at = 2; at < argc; ++at)
        users.push_back(std::stoll(argv[at]));
    try {
        coupon_guard::group_client_options options;
        options.schema = "promo";
        options.time_limit = std::chrono::seconds{5};
        coupon_guard::group_client coupons{"", options};

        std::vector<std::future<std::string>> threads;
        for (const std::int64_t user : users)
            threads.push_back(
                std::async(std::launch::async, [&, user] { return redeem(coupons, user, code); }));
        for (std::size_t at = 0; at < users.size(); ++at)
            std::cout << users[at] << ": " << threads[at].get() << '\n';

        // One thread that has many requests under way, as an event loop has.
        std::vector<std::future<coupon_guard::redemption>> answers;
        for (const std::int64_t user : users)
            answers.push_back(coupons.redeem_later(user, code));
        int redeemed = 0;
        for (auto &each : answers)
            redeemed += each.get().redeemed();
        std::cout << "and once more: " << redeemed << '\n';
        return 0;
    } catch (const coupon_guard::error &failure) {
        std::cerr << "group: " << failure.what() << '\n';
        return 1;
    }
}
