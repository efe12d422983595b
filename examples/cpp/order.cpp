/// An order and its coupon in one transaction: they stand or fall together.
///
///     CREATE EXTENSION coupon_guard;
///     INSERT INTO coupon (code, terms) VALUES ('SAVE10', '{"percent": 10}');
///     CREATE TABLE orders (id bigserial PRIMARY KEY, user_id bigint, redemption_id bigint);
///
///     ./order "dbname=shop" 42 SAVE10

#include <iostream>
#include <string>

#include <pqxx/pqxx>

#include <coupon_guard/client.hpp>

namespace {

/// Places the order, with the coupon if the user may have it: a refusal costs only the discount.
coupon_guard::redemption place_order(pqxx::connection &connection, std::int64_t user,
                                     const std::string &code) {
    pqxx::work transaction{connection};
    const auto coupon = coupon_guard::redeem(transaction, user, code);
    const std::string redemption =
        coupon.redeemed() ? std::to_string(coupon.redemption_id.value()) : "NULL";
    transaction.exec("INSERT INTO orders (user_id, redemption_id) VALUES (" + std::to_string(user) +
                     ", " + redemption + ")");
    transaction.commit();
    return coupon;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: order CONNINFO USER CODE\n";
        return 2;
    }
    try {
        pqxx::connection connection{argv[1]};
        const auto coupon = place_order(connection, std::stoll(argv[2]), argv[3]);
        std::cout << to_string(coupon.status);
        if (coupon.redeemed() && coupon.terms)
            std::cout << ' ' << *coupon.terms;
        std::cout << '\n';
        return 0;
    } catch (const std::exception &failure) {
        std::cerr << "order: " << failure.what() << '\n';
        return 1;
    }
}
