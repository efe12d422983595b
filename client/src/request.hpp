/// What can be asked of the extension: the call, and how its answer is read (private).
#ifndef COUPON_GUARD_SRC_REQUEST_HPP
#define COUPON_GUARD_SRC_REQUEST_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <coupon_guard/errors.hpp>
#include <coupon_guard/redemption.hpp>
#include <coupon_guard/user_id.hpp>

#include "call.hpp"

namespace coupon_guard {

/// What is read of answers. Which columns an answer has depends on the function, and on the version
/// of the extension.
enum class column : std::size_t {
    status,
    redemption_id,
    coupon_id,
    use_no,
    terms,
    replayed,
    amount,
    limited_by,
    retry_at,
    redeemed_at_us,
    hold_expires_at_us,
    code,
    remaining_uses,
    remaining_units,
    remaining_budget,
    answer, ///< of a function whose answer is one value
};
constexpr std::size_t column_count = 16;

/// Where they are: found once for a result, for by name they would be looked up in each row.
class column_places {
  public:
    column_places() { at_.fill(nowhere); }
    explicit column_places(const pqxx::result &rows);

    bool has(column wanted) const { return at(wanted) != nowhere; }
    pqxx::row::size_type of(column wanted) const {
        return static_cast<pqxx::row::size_type>(at(wanted));
    }

  private:
    static constexpr signed char nowhere = -1;
    static constexpr int most = 100; // that a result has

    signed char at(column wanted) const { return at_[static_cast<std::size_t>(wanted)]; }

    std::array<signed char, column_count> at_;
};

class answer_row {
  public:
    answer_row(const pqxx::result &rows, int at, const column_places &places)
        : row_{rows[static_cast<pqxx::result::size_type>(at)]}
        , places_{places} {}

    /// None if it is NULL, or there is no such column.
    template <typename Value>
    std::optional<Value> get(column wanted) const {
        if (!places_.has(wanted))
            return std::nullopt;
        const auto field = row_[places_.of(wanted)];
        if (field.is_null())
            return std::nullopt;
        return field.template as<Value>();
    }

    template <typename Value>
    Value must_have(column wanted) const {
        if (auto value = get<Value>(wanted))
            return *std::move(value);
        throw unexpected_answer{"the server answered with nothing where a value was expected"};
    }

  private:
    decltype(std::declval<const pqxx::result &>()[pqxx::result::size_type{}]) row_;
    const column_places &places_;
};

/// The rows of one call's answer: all of a result, or a part of one that answers many calls.
class answer_rows {
  public:
    answer_rows() = default;
    explicit answer_rows(pqxx::result rows)
        : rows_{std::move(rows)}
        , places_{rows_}
        , size_{static_cast<int>(rows_.size())} {}
    answer_rows(pqxx::result rows, const column_places &places, int first, int size)
        : rows_{std::move(rows)}
        , places_{places}
        , first_{first}
        , size_{size} {}

    int size() const noexcept { return size_; }
    answer_row operator[](int at) const { return {rows_, first_ + at, places_}; }
    /// Where one row must come.
    answer_row only() const {
        if (size_ != 1)
            throw unexpected_answer{"the server answered with " + std::to_string(size_) +
                                    " rows where one was expected"};
        return (*this)[0];
    }

  private:
    pqxx::result rows_;
    column_places places_;
    int first_ = 0;
    int size_ = 0;
};

template <typename Answer>
struct request {
    function_call call;
    Answer (*read)(const answer_rows &rows);
    bool is_repeatable; ///< to ask again is harmless, whether or not it happened the first time
};

/// These throw misuse for a value that no text can hold, and for options that the function does not
/// have.
request<redemption> redeem_request(const user_id &user, std::string_view code,
                                   const redeem_options &options, std::string_view schema);
request<redemption> hold_request(const user_id &user, std::string_view code,
                                 const hold_options &options, std::string_view schema);
request<redemption> confirm_request(std::int64_t redemption_id,
                                    const std::optional<std::int64_t> &amount,
                                    std::string_view schema);
request<bool> void_request(std::int64_t redemption_id, const std::optional<std::int64_t> &amount,
                           const std::optional<std::string> &reason, std::string_view schema);
request<redemptions> redeem_coupons_request(const user_id &user,
                                            const std::vector<std::string> &codes,
                                            const std::vector<std::optional<std::int64_t>> &amounts,
                                            const redeem_options &options, std::string_view schema);
request<claim_answer> claim_request(const user_id &user, std::string_view campaign,
                                    std::string_view schema);
request<claim_answer> release_request(const user_id &user, std::string_view campaign,
                                      std::string_view schema);
request<availability> check_request(const user_id &user, std::string_view code,
                                    std::string_view schema);

} // namespace coupon_guard

#endif
