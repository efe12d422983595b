/// A connection that is opened when it is needed, and anew when it has been lost (private).
#ifndef COUPON_GUARD_SRC_OWNED_CONNECTION_HPP
#define COUPON_GUARD_SRC_OWNED_CONNECTION_HPP

#include <memory>
#include <string>
#include <utility>

#include <coupon_guard/errors.hpp>

#include "pqxx_compat.hpp"

namespace coupon_guard {

class owned_connection {
  public:
    /// `conninfo` is a connection string or URI as libpq takes it. Nothing is opened yet.
    explicit owned_connection(std::string conninfo)
        : conninfo_{std::move(conninfo)} {}

    /// An open one. Throws connection_failed.
    pqxx::connection &ready() {
        if (!connection_ || !connection_->is_open())
            connect();
        return *connection_;
    }

    /// How often it has been opened: of what a session keeps nothing is left when this changes.
    int times_opened() const noexcept { return times_opened_; }

    /// Whatever it was doing has come to nothing.
    void close() noexcept { connection_.reset(); }

  private:
    void connect() {
        connection_.reset();
        try {
            connection_ = std::make_unique<pqxx::connection>(conninfo_);
            ++times_opened_;
        } catch (const pqxx::broken_connection &caught) {
            throw connection_failed{caught.what(), compat::sqlstate_of(caught)};
        }
    }

    std::string conninfo_;
    std::unique_ptr<pqxx::connection> connection_;
    int times_opened_ = 0;
};

} // namespace coupon_guard

#endif
