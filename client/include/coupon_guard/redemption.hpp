/// What is asked and what is answered.
#ifndef COUPON_GUARD_REDEMPTION_HPP
#define COUPON_GUARD_REDEMPTION_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <coupon_guard/status.hpp>

namespace coupon_guard {

/// What may be asked for beyond the user and the code. Since 0.1.0.
struct redeem_options {
    /// The caller's own key of this request, one for each user and purpose ("checkout-8f3a"). The
    /// same user and request id get the first redemption again (`replayed`), so that asking again
    /// is harmless; `voided` if it has been given back since. Control characters are misuse.
    std::optional<std::string> request_id = {};
    /// JSON to keep with the redemption: an order number, a channel.
    std::optional<std::string> metadata = {};
    /// What it is to be worth, in the smallest unit of the shop's currency, above 0. A coupon with
    /// a budget needs one (else misuse, 22004), and gives it whole or answers `insufficient`; of
    /// one without a budget it is recorded. A hold that is redeemed has at most its own amount. A
    /// retry with the same request id gets the amount of the first time. Since 0.2.0.
    std::optional<std::int64_t> amount = {};
    /// The amount, or as much of it as the budget has left: redemption::amount tells how much.
    /// Without an amount it means nothing; a hold does not take it. Since 0.2.0.
    bool up_to = false;
};

/// The same for a hold; passed on to redeem() with the same amount or less, they confirm it. Since
/// 0.1.0.
struct hold_options : redeem_options {
    /// How long to hold; none: the extension's default, 15 minutes.
    std::optional<std::chrono::microseconds> ttl = {};
};

/// Of a coupon and its campaign, the one that has refused. Since 0.2.0.
enum class limited_by {
    coupon,
    campaign,
    shard, ///< what this shard has of the limit: others may have more. Since 0.3.0
};

/// A moment, to the microsecond as PostgreSQL keeps it.
using timestamp = std::chrono::time_point<std::chrono::system_clock, std::chrono::microseconds>;

/// The answer to one request. Which of the optional parts are there depends on the status:
/// `redeemed` and `held` have all of them (terms if the coupon has any; the one time or the other),
/// `already_redeemed` those of the user's latest redemption or hold, `voided` the redemption_id,
/// `not_found` and `throttled` none. Since 0.1.0.
struct redemption {
    coupon_guard::status status{};
    std::optional<std::int64_t> redemption_id;
    std::optional<std::int64_t> coupon_id;
    std::optional<std::int32_t> use_no; ///< 1 for the user's first use of this coupon
    std::optional<timestamp> redeemed_at;
    std::optional<timestamp> hold_expires_at; ///< of hold() alone
    std::optional<std::string> terms;         ///< JSON: what the code is worth
    bool replayed = false; ///< it had been done by an earlier request, this one changed nothing
    int retries = 0;       ///< how often the request was repeated after 40001 or 40P01
    int asked_again = 0;   ///< how often after a lost connection, to learn the outcome
    /// Of the redemption that redemption_id names, none if it has none; with `insufficient`, what
    /// is left of the budget. Since 0.2.0.
    std::optional<std::int64_t> amount = {};
    /// Of a coupon that has a campaign, which of the two has refused it, by its limits or its
    /// window; of a limit that is divided over shards, that it was this shard's part. Since 0.2.0.
    std::optional<coupon_guard::limited_by> limited_by = {};
    /// With `throttled`, when the next attempt may be made; else none. None too where the session's
    /// DateStyle is not ISO, the default. Since 0.2.0.
    std::optional<timestamp> retry_at = {};

    /// True if the user has the coupon by this request, or had it already under its request id.
    bool redeemed() const noexcept { return status == coupon_guard::status::redeemed; }
    /// True if a unit is kept for the user until hold_expires_at.
    bool held() const noexcept { return status == coupon_guard::status::held; }
};

/// One of the coupons of redeem_coupons(). Since 0.1.0.
struct redemption_of_code : redemption {
    std::string code; ///< as it was asked for
};

/// The answer of redeem_coupons(): all of them redeemed, or none by this request. Since 0.1.0.
struct redemptions {
    std::vector<redemption_of_code> coupons;
    int retries = 0;     ///< of the request as a whole, as in redemption
    int asked_again = 0; ///< likewise

    /// True if every one was redeemed; also if none was asked for.
    bool redeemed() const noexcept {
        for (const redemption_of_code &each : coupons)
            if (!each.redeemed())
                return false;
        return true;
    }
};

/// What check() found. It may have changed by the time it is read. Since 0.1.0.
struct availability {
    coupon_guard::status status{}; ///< what redeem() would have answered
    std::optional<std::int64_t> coupon_id;
    std::optional<std::int32_t> remaining_uses; ///< to this user; none: no limit, or no such coupon
    std::optional<std::int64_t> remaining_units; ///< in all; none: no cap, or no such coupon
    /// Amount, in all; none: no budget, or no such coupon. Since 0.2.0.
    std::optional<std::int64_t> remaining_budget = {};
    /// Likewise, which of the two would refuse it. Since 0.2.0.
    std::optional<coupon_guard::limited_by> limited_by = {};
    std::optional<timestamp> retry_at = {}; ///< as in redemption. Since 0.2.0
};

/// The answer to a claim, or to its release. Since 0.2.0.
struct claim_answer {
    coupon_guard::status status{};
    /// With `claimed`, `released` and `already_redeemed`; else none.
    std::optional<std::int64_t> coupon_id = {};
    std::optional<std::string> code = {}; ///< likewise; spelled as the coupon has it
    /// JSON: the coupon's, or if it has none, the campaign's; only with `claimed`.
    std::optional<std::string> terms = {};
    bool replayed = false;                  ///< the user had the code before
    int retries = 0;                        ///< as in redemption
    int asked_again = 0;                    ///< likewise
    std::optional<timestamp> retry_at = {}; ///< likewise

    /// True if the code is the user's, by this request or already.
    bool claimed() const noexcept { return status == coupon_guard::status::claimed; }
};

} // namespace coupon_guard

#endif
