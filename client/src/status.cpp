#include <coupon_guard/status.hpp>

#include <utility>

namespace coupon_guard {

namespace {

constexpr std::pair<status, std::string_view> names[] = {
    {status::redeemed, "redeemed"},
    {status::held, "held"},
    {status::not_found, "not_found"},
    {status::inactive, "inactive"},
    {status::not_started, "not_started"},
    {status::expired, "expired"},
    {status::already_redeemed, "already_redeemed"},
    {status::sold_out, "sold_out"},
    {status::withheld, "withheld"},
    {status::voided, "voided"},
    {status::insufficient, "insufficient"},
    {status::reserved, "reserved"},
    {status::claimed, "claimed"},
    {status::released, "released"},
    {status::throttled, "throttled"},
    {status::unavailable, "unavailable"},
};

} // namespace

std::string_view to_string(status value) noexcept {
    for (const auto &[known, name] : names)
        if (known == value)
            return name;
    return "";
}

std::optional<status> parse_status(std::string_view name) noexcept {
    for (const auto &[value, known] : names)
        if (known == name)
            return value;
    return std::nullopt;
}

} // namespace coupon_guard
