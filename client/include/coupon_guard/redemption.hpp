/// What a redemption asks and what it answers.
#ifndef COUPON_GUARD_REDEMPTION_HPP
#define COUPON_GUARD_REDEMPTION_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <coupon_guard/status.hpp>

namespace coupon_guard {

/// What may be asked for beyond the user and the code. Since 0.1.0.
struct redeem_options {
    /// JSON to keep with the redemption: an order number, a channel.
    std::optional<std::string> metadata;
};

/// The moment of a redemption, to the microsecond as PostgreSQL keeps it.
using timestamp = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// The answer to one request. Which of the optional parts are there depends on the status:
/// `redeemed` has all of them (terms if the coupon has any), `already_redeemed` those of the
/// user's latest redemption, `not_found` none. Since 0.1.0.
struct redemption {
    coupon_guard::status status{};
    std::optional<std::int64_t> redemption_id;
    std::optional<std::int64_t> coupon_id;
    std::optional<std::int32_t> use_no; ///< 1 for the user's first use of this coupon
    std::optional<timestamp> redeemed_at;
    std::optional<std::string> terms; ///< JSON: what the code is worth
    int retries = 0;                  ///< how often the request was repeated after 40001 or 40P01

    /// True if the user has the coupon by this very request.
    bool redeemed() const noexcept { return status == coupon_guard::status::redeemed; }
};

} // namespace coupon_guard

#endif
