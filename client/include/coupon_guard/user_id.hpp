/// Who redeems: a bigint, a uuid or a text, as the shop's own user table has it.
#ifndef COUPON_GUARD_USER_ID_HPP
#define COUPON_GUARD_USER_ID_HPP

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coupon_guard {

/// A uuid, so that a user who is one is not mistaken for a text. Since 0.1.0.
class uuid {
  public:
    using bytes = std::array<std::uint8_t, 16>;

    /// From the 16 bytes, most significant first (RFC 4122's order).
    explicit uuid(const bytes &value) noexcept
        : bytes_{value} {}

    /// From 32 hexadecimal digits of either case, hyphens as in 8-4-4-4-12 or none at all.
    /// Throws std::invalid_argument for anything else.
    static uuid parse(std::string_view text);

    /// In lower case with hyphens, as PostgreSQL writes it.
    std::string to_string() const;

    const bytes &value() const noexcept { return bytes_; }

    friend bool operator==(const uuid &a, const uuid &b) noexcept { return a.bytes_ == b.bytes_; }
    friend bool operator!=(const uuid &a, const uuid &b) noexcept { return !(a == b); }

  private:
    bytes bytes_;
};

/// The user of a redemption. Converts from what callers have: any integer that fits a bigint, a
/// uuid, a string. Integers and uuids are kept apart from strings only as far as the call goes;
/// the ledger stores all three as text, so that 42 and "42" are one user. Since 0.1.0.
class user_id {
  public:
    /// Integers that may not fit a bigint (unsigned long long) do not compile: which of them is a
    /// user must be decided by the caller, not by a wrap-around.
    template <typename Integer,
              std::enable_if_t<std::is_integral_v<Integer> && !std::is_same_v<Integer, bool> &&
                                   !std::is_same_v<Integer, char>,
                               int> = 0>
    user_id(Integer value)
        : sql_type_{"bigint"}
        , text_{std::to_string(value)} {
        static_assert(std::is_signed_v<Integer> || sizeof(Integer) < sizeof(std::int64_t),
                      "a user id must fit a bigint: convert it to std::int64_t yourself");
    }
    user_id(const uuid &value)
        : sql_type_{"uuid"}
        , text_{value.to_string()} {}
    user_id(std::string value)
        : sql_type_{"text"}
        , text_{std::move(value)} {}
    user_id(std::string_view value)
        : user_id{std::string{value}} {}
    user_id(const char *value)
        : user_id{std::string{value}} {}

    /// The overload of the SQL functions that is meant: "bigint", "uuid" or "text".
    const char *sql_type() const noexcept { return sql_type_; }

    /// The value in that type's text format.
    const std::string &text() const noexcept { return text_; }

  private:
    const char *sql_type_;
    std::string text_;
};

} // namespace coupon_guard

#endif
