/// A redemption in a transaction of its own: the library repeats it after a conflict, and asks
/// again when the connection is lost at COMMIT. The connection is that of the PG* environment
/// variables.
///
///     ./redeem USER CODE REQUEST

#include <iostream>
#include <string>

#include <coupon_guard/client.hpp>

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: redeem USER CODE REQUEST\n";
        return 2;
    }
    const std::int64_t user = std::stoll(argv[1]);
    const std::string code = argv[2], request_id = argv[3];
    try {
        coupon_guard::client_options where;
        where.schema = "promo";
        coupon_guard::client client{"", where};
        const auto answer = client.redeem(user, code, {request_id});
        if (answer.redeemed())
            std::cout << "worth " << answer.terms.value_or("nothing") << '\n';
        else
            std::cout << to_string(answer.status) << '\n';
        return 0;
    } catch (const coupon_guard::error &failure) {
        std::cerr << "redeem: " << failure.what() << '\n';
        return 1;
    }
}
