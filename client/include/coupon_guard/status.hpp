/// The answer of redeem_coupon() as a type.
#ifndef COUPON_GUARD_STATUS_HPP
#define COUPON_GUARD_STATUS_HPP

#include <optional>
#include <string_view>

namespace coupon_guard {

/// What became of a request to redeem, hold or claim a coupon. Everything but `redeemed`, `held`,
/// `claimed` and `released` is a refusal: a business answer, never an error, and the caller's
/// transaction goes on.
///
/// The names are those of the SQL type coupon_status. Since 0.1.0.
enum class status {
    redeemed,         ///< it happened now, or (replayed) already under this request id
    held,             ///< a unit is kept until the hold's deadline
    not_found,        ///< no such code
    inactive,         ///< coupon.active is false
    not_started,      ///< before coupon.starts_at
    expired,          ///< after coupon.expires_at; of a hold: after its deadline
    already_redeemed, ///< this user has used it coupon.max_per_user times
    sold_out,         ///< all coupon.max_redemptions units are taken; of a claim: all codes
    withheld,         ///< it could have been redeemed, but another of the same request could not
    voided,           ///< given back since: this request id's redemption (replayed), this hold
    insufficient,     ///< less than the amount is left of coupon.budget. Since 0.2.0
    reserved,         ///< the coupon has another holder. Since 0.2.0
    claimed,          ///< the code is this user's, now or (replayed) already. Since 0.2.0
    released,         ///< the code is nobody's again. Since 0.2.0
    throttled,        ///< too many attempts: come again at retry_at. Since 0.2.0
    unavailable,      ///< a shard that may have units does not answer. Since 0.3.0
};

/// The status as SQL spells it. The view is valid for the life of the program.
std::string_view to_string(status value) noexcept;

/// The status that SQL spells so, or nothing if this version of the library does not know it.
std::optional<status> parse_status(std::string_view name) noexcept;

} // namespace coupon_guard

#endif
