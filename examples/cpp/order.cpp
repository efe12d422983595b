/// An order and its coupon in one transaction: they stand or fall together. The shop is that of
/// examples/schema.sql; the connection is that of the PG* environment variables.
///
///     ./order USER CODE REQUEST

#include <chrono>
#include <cstdint>
#include <iostream>
#include <random>
#include <string>
#include <thread>

#include <pqxx/pqxx>

#include <coupon_guard/client.hpp>

namespace {

std::string place_order(pqxx::connection &connection, std::int64_t user, const std::string &code,
                        const std::string &request_id) {
    pqxx::work transaction{connection};
    transaction.exec("SET LOCAL lock_timeout = '1s'");
    const std::string customer = transaction.quote(user);
    const std::string request = transaction.quote(request_id);
    const auto order =
        transaction.exec("INSERT INTO orders (user_id, request_id) VALUES (" + customer + ", " +
                         request + ") ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id");
    std::string status;
    if (order.empty()) { // an earlier attempt has been committed, redemption and all
        const auto earlier =
            transaction.exec("SELECT coupon_status FROM orders WHERE user_id = " + customer +
                             " AND request_id = " + request);
        status = earlier[0][0].as<std::string>();
    } else {
        const auto coupon = coupon_guard::redeem(transaction, user, code, {request_id}, "promo");
        status = to_string(coupon.status);
        std::string discount; // a refusal is a value: the order goes on without it
        if (coupon.redeemed())
            discount = ", redemption_id = " + transaction.quote(*coupon.redemption_id);
        if (coupon.terms)
            discount += ", discount = " + transaction.quote(*coupon.terms);
        transaction.exec("UPDATE orders SET coupon_status = " + transaction.quote(status) +
                         discount + " WHERE id = " + order[0][0].as<std::string>());
    }
    transaction.commit();
    return status;
}

template <typename Failure>
bool is(const std::exception &failure) {
    return dynamic_cast<const Failure *>(&failure) != nullptr;
}

/// Of errors of the library and of libpqxx; empty if it is not known.
std::string sqlstate_of(const std::exception &failure) {
    if (const auto *ours = dynamic_cast<const coupon_guard::error *>(&failure))
        return ours->sqlstate();
    if (const auto *theirs = dynamic_cast<const pqxx::sql_error *>(&failure))
        return std::string{theirs->sqlstate()};
    return {};
}

/// A conflict (40001, 40P01), or the connection is lost. That libpqxx has classes for the conflicts
/// matters: its version 6 keeps no SQLSTATE with them.
bool may_try_again(const std::exception &failure) {
    return is<coupon_guard::transaction_conflict>(failure) ||
           is<coupon_guard::connection_error>(failure) || is<pqxx::transaction_rollback>(failure) ||
           is<pqxx::broken_connection>(failure) || is<pqxx::in_doubt_error>(failure) ||
           sqlstate_of(failure).compare(0, 4, "57P0") == 0;
}

std::string checkout(std::int64_t user, const std::string &code, const std::string &request_id) {
    std::mt19937 random{std::random_device{}()};
    for (int attempt = 0;; ++attempt) {
        try {
            pqxx::connection connection{""};
            return place_order(connection, user, code, request_id);
        } catch (const std::exception &failure) {
            if (sqlstate_of(failure) == "55P03")
                return "busy"; // an earlier click of this user is in progress; this one did nothing
            if (attempt == 4 || !may_try_again(failure))
                throw; // if it could be tried again, the outcome is unknown
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{random() % (100U << attempt)});
    }
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 4) {
        std::cerr << "usage: order USER CODE REQUEST\n";
        return 2;
    }
    try {
        std::cout << checkout(std::stoll(argv[1]), argv[2], argv[3]) << '\n';
        return 0;
    } catch (const std::exception &failure) {
        std::cerr << "order: " << failure.what() << '\n';
        return 1;
    }
}
