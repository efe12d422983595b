/// Moments as the server writes them (private).
#ifndef COUPON_GUARD_SRC_TIMESTAMP_TEXT_HPP
#define COUPON_GUARD_SRC_TIMESTAMP_TEXT_HPP

#include <optional>
#include <string_view>

#include <coupon_guard/redemption.hpp>

namespace coupon_guard {

/// Of a timestamptz in DateStyle ISO, which is the server's default: `2026-11-30 12:00:06.5+01`,
/// in whatever time zone. None for any other text: the other styles name time zones by letters,
/// whose meaning only the server knows.
std::optional<timestamp> parse_timestamp(std::string_view text) noexcept;

} // namespace coupon_guard

#endif
