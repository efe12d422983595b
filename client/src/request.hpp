/// What can be asked of the extension: the call, and how its answer is read (private).
#ifndef COUPON_GUARD_SRC_REQUEST_HPP
#define COUPON_GUARD_SRC_REQUEST_HPP

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

/// The rows of one call's answer: all of a result, or a part of one that answers many calls.
class answer_rows {
  public:
    answer_rows() = default;
    explicit answer_rows(pqxx::result rows)
        : rows_{std::move(rows)}
        , size_{static_cast<int>(rows_.size())} {}
    answer_rows(pqxx::result rows, int first, int size)
        : rows_{std::move(rows)}
        , first_{first}
        , size_{size} {}

    int size() const noexcept { return size_; }
    auto operator[](int at) const {
        return rows_[static_cast<pqxx::result::size_type>(first_ + at)];
    }
    /// Where one row must come.
    auto only() const {
        if (size_ != 1)
            throw unexpected_answer{"the server answered with " + std::to_string(size_) +
                                    " rows where one was expected"};
        return (*this)[0];
    }

  private:
    pqxx::result rows_;
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
                                            const redeem_options &options, std::string_view schema);
request<availability> check_request(const user_id &user, std::string_view code,
                                    std::string_view schema);

} // namespace coupon_guard

#endif
