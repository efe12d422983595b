#include "strategies/worker_connection.hpp"

#include <pqxx/pqxx>

namespace coupon_race {

pqxx::connection &worker_connection::get() {
    if (connection_ && connection_->is_open())
        return *connection_;
    connection_.reset();
    try {
        connection_ = std::make_unique<pqxx::connection>(address_);
        // A server may have another default; each strategy says itself when it wants another level.
        pqxx::nontransaction{*connection_}.exec(
            "SET default_transaction_isolation = 'read committed'");
    } catch (const std::exception &caught) {
        connection_.reset();
        throw coupon_guard::connection_failed{caught.what()};
    }
    return *connection_;
}

} // namespace coupon_race
