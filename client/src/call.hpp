/// How a function of the extension is called and its answer read (private).
#ifndef COUPON_GUARD_SRC_CALL_HPP
#define COUPON_GUARD_SRC_CALL_HPP

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <coupon_guard/client.hpp>

#include "pqxx_compat.hpp"

namespace coupon_guard {

/// The call of one SQL function, put together argument by argument. Arguments go by name: a later
/// version of the function may have more of them in between.
class function_call {
  public:
    function_call(const char *function, std::string_view schema);

    /// The user's type picks the overload. These throw misuse for a value that no text can hold.
    function_call &user(const user_id &value);
    function_call &argument(const char *name, const char *sql_type, std::string_view value);
    function_call &argument_if_given(const char *name, const char *sql_type,
                                     const std::optional<std::string> &value);
    function_call &array_argument(const char *name, const char *element_type,
                                  const std::vector<std::string> &values);

    /// SELECT `columns` FROM the function. Throws what errors.hpp lists.
    pqxx::result run(pqxx::transaction_base &transaction, const std::string &columns) const;

    /// The same where one row must come.
    pqxx::result run_for_one_row(pqxx::transaction_base &transaction,
                                 const std::string &columns) const;

  private:
    void begin_argument(const char *name);
    std::string placeholder(const char *name, std::string_view value);

    std::string name_;
    std::string function_;
    std::string arguments_;
    std::vector<std::string> parameters_;
};

/// A time as a number, because its text depends on DateStyle.
std::string microseconds_of(const char *column);

template <typename Value, typename Row>
std::optional<Value> optional_column(const Row &row, const char *name) {
    const auto &field = row[name];
    if (field.is_null())
        return std::nullopt;
    return field.template as<Value>();
}

template <typename Row>
std::optional<timestamp> time_column(const Row &row, const char *name) {
    if (const auto at = optional_column<std::int64_t>(row, name))
        return timestamp{std::chrono::microseconds{*at}};
    return std::nullopt;
}

/// Throws unexpected_answer for a status that this version of the library does not know.
status read_status(const std::optional<std::string> &name);

} // namespace coupon_guard

#endif
