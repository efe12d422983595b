/// An order that a gift card pays as far as it can: what the card gives and the order are one
/// transaction. Amounts are cents; the connection is that of the PG* environment variables.
///
///     CREATE TABLE orders (user_id bigint, card_amount bigint, rest bigint);
///     ./gift_card USER CARD TOTAL REQUEST

#include <cstdint>
#include <iostream>
#include <string>

#include <pqxx/pqxx>

#include <coupon_guard/client.hpp>

namespace {

std::string place_order(pqxx::connection &connection, std::int64_t user, const std::string &card,
                        std::int64_t total, const std::string &request_id) {
    pqxx::work transaction{connection};
    coupon_guard::redeem_options options{request_id};
    options.amount = total;
    options.up_to = true;
    const auto paid = coupon_guard::redeem(transaction, user, card, options, "promo");
    if (!paid.redeemed())
        return std::string{to_string(paid.status)}; // sold_out: nothing is left on the card
    if (paid.replayed)
        return "paid already";
    const std::string amount = std::to_string(*paid.amount);
    const std::string rest = std::to_string(total - *paid.amount);
    transaction.exec("INSERT INTO orders VALUES (" + std::to_string(user) + ", " + amount + ", " +
                     rest + ")");
    transaction.commit();
    return "card " + amount + ", rest " + rest;
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 5) {
        std::cerr << "usage: gift_card USER CARD TOTAL REQUEST\n";
        return 2;
    }
    try {
        pqxx::connection connection{""};
        std::cout << place_order(connection, std::stoll(argv[1]), argv[2], std::stoll(argv[3]),
                                 argv[4])
                  << '\n';
        return 0;
    } catch (const std::exception &failure) {
        std::cerr << "gift_card: " << failure.what() << '\n';
        return 1;
    }
}
