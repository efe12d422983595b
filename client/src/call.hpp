/// The call of one SQL function (private). Many in one statement: group_statement.hpp.
#ifndef COUPON_GUARD_SRC_CALL_HPP
#define COUPON_GUARD_SRC_CALL_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <coupon_guard/user_id.hpp>

#include "pqxx_compat.hpp"

namespace coupon_guard {

/// How long a statement may wait for another transaction. It is set inside the statement, which is
/// a transaction: so it takes no round trip, and leaves nothing behind in the session.
struct lock_wait {
    std::chrono::milliseconds at_most;
    bool session_may_say_less; ///< the session's own lock_timeout holds if it is shorter
};

/// The call of one SQL function, put together argument by argument. Arguments go by name: a later
/// version of the function may have more of them in between.
class function_call {
  public:
    /// `columns` are what is selected of its answer, which is called `answer`; their text stays
    /// where it is.
    function_call(const char *function, std::string_view schema, const char *columns);

    /// The user's type picks the overload. These throw misuse for a value that no text can hold.
    function_call &user(const user_id &value);
    function_call &argument(const char *name, const char *sql_type, std::string_view value);
    function_call &array_argument(const char *name, const char *element_type,
                                  const std::vector<std::string> &values);
    function_call &array_argument(const char *name,
                                  const std::vector<std::optional<std::int64_t>> &values);
    /// One whose default is NULL.
    function_call &argument_if_given(const char *name, const char *sql_type,
                                     const std::optional<std::string> &value);
    /// That there is a function FUNCTION_for_each, which makes many such calls: `arguments` are its
    /// names of the arguments, whose values come in arrays. Their text stays where it is.
    function_call &for_each(std::vector<const char *> arguments);

    /// Runs the statement. Throws what errors.hpp lists.
    pqxx::result run(pqxx::transaction_base &transaction,
                     const std::optional<lock_wait> &wait = {}) const;

    /// What calls must have in common to be made in one statement.
    const std::string &kind() const noexcept { return kind_; }

    /// False if a value may mean something else inside an array: see group_statement.cpp.
    bool fits_in_array() const noexcept { return fits_in_array_; }

    /// What orders calls by what they lock: first the coupon (or campaign), then the user.
    std::string lock_order() const;

  private:
    friend class group_statement;

    enum class form { absent, scalar, array };
    struct named_value {
        const char *name;
        const char *sql_type; // of the array's elements
        form shape;
        std::string value;                 // an array of numbers is one, too
        std::vector<std::string> elements; // of an array of text

        bool has_one_value() const { return shape == form::scalar || !value.empty(); }
        std::string type() const {
            return shape == form::array ? sql_type + std::string{"[]"} : sql_type;
        }
    };

    named_value &add(const char *name, const char *sql_type, form shape);
    std::string accepted(const char *name, std::string_view value);

    std::string function_;
    const char *columns_;
    std::string kind_;
    bool fits_in_array_ = true;
    std::vector<named_value> arguments_;
    std::vector<const char *> for_each_; // names of arguments_; none if there is no such function
};

/// `value`, an SQL expression, but the wait is limited to `milliseconds`, another, before it is
/// there: the server evaluates it before it calls the function that it is an argument of.
std::string after_limiting(const std::string &milliseconds, const std::string &value);

} // namespace coupon_guard

#endif
