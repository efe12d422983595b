#include "call.hpp"

#include <algorithm>
#include <cstddef>

#include "error_translation.hpp"
#include "sql_quoting.hpp"

namespace coupon_guard {

namespace {

bool is_ascii(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x80;
}

bool may_end_in_backslash(std::string_view value) noexcept {
    for (auto at = value.find('\\'); at != value.npos; at = value.find('\\', at + 1))
        if (at > 0 && !is_ascii(value[at - 1]))
            return true;
    return false;
}

/// Roughly what makes a code key of a code: without the blanks around it, letters in lower case.
void append_folded(std::string &key, std::string_view code) {
    const auto first = code.find_first_not_of(' ');
    if (first == code.npos)
        return;
    const auto begin = static_cast<std::ptrdiff_t>(key.size());
    key.append(code, first, code.find_last_not_of(' ') + 1 - first);
    std::transform(key.begin() + begin, key.end(), key.begin() + begin, [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
}

std::string limit_of(const lock_wait &wait) {
    const std::string milliseconds = std::to_string(std::max<long long>(wait.at_most.count(), 1));
    return wait.session_may_say_less
               ? "least(nullif(extract(epoch FROM pg_catalog.current_setting('lock_timeout')"
                 "::interval) * 1000, 0), " +
                     milliseconds + ")::integer::text"
               : "'" + milliseconds + "'";
}

} // namespace

std::string after_limiting(const std::string &milliseconds, const std::string &value) {
    return "CASE WHEN pg_catalog.set_config('lock_timeout', " + milliseconds +
           ", true) IS NOT NULL THEN " + value + " END";
}

function_call::function_call(const char *function, std::string_view schema, const char *columns)
    : columns_{columns} {
    if (!schema.empty())
        function_.append(quote_identifier(schema)).append(".");
    function_.append(function);
    kind_.reserve(function_.size() + 100);
    kind_.append(function_);
    arguments_.reserve(5);
}

function_call &function_call::user(const user_id &value) {
    return argument("user_id", value.sql_type(), value.text());
}

function_call &function_call::argument(const char *name, const char *sql_type,
                                       std::string_view value) {
    std::string given = accepted(name, value);
    add(name, sql_type, form::scalar).value = std::move(given);
    return *this;
}

function_call &function_call::array_argument(const char *name, const char *element_type,
                                             const std::vector<std::string> &values) {
    std::vector<std::string> elements;
    elements.reserve(values.size());
    for (const std::string &each : values)
        elements.push_back(accepted(name, each));
    add(name, element_type, form::array).elements = std::move(elements);
    return *this;
}

/// No element is quoted, for all are numbers or NULL.
function_call &
function_call::array_argument(const char *name,
                              const std::vector<std::optional<std::int64_t>> &values) {
    std::string array{"{"};
    for (const auto &each : values) {
        array += array.size() > 1 ? "," : "";
        array += each ? std::to_string(*each) : "NULL";
    }
    add(name, "bigint", form::array).value = array + "}";
    return *this;
}

function_call &function_call::argument_if_given(const char *name, const char *sql_type,
                                                const std::optional<std::string> &value) {
    if (value)
        return argument(name, sql_type, *value);
    add(name, sql_type, form::absent);
    return *this;
}

/// libpq's text parameters end at the first zero byte: "SAVE10\0x" would redeem SAVE10. The server
/// has an SQLSTATE for bytes that no text can hold.
function_call &function_call::for_each(std::vector<const char *> arguments) {
    for_each_ = std::move(arguments);
    return *this;
}

std::string function_call::accepted(const char *name, std::string_view value) {
    if (value.find('\0') != value.npos)
        throw misuse{std::string{name} + " contains a zero byte", "22021"};
    if (may_end_in_backslash(value))
        fits_in_array_ = false;
    return std::string{value};
}

function_call::named_value &function_call::add(const char *name, const char *sql_type, form shape) {
    kind_.append(" ").append(name).append(" ").append(sql_type);
    kind_ += shape == form::array ? "[]" : "";
    arguments_.push_back({name, sql_type, shape, {}, {}});
    return arguments_.back();
}

std::string function_call::lock_order() const {
    const auto is_any_of = [](std::string_view name, auto... wanted) {
        return ((name == wanted) || ...);
    };
    std::string coupon;    // or campaign
    std::string_view user; // or redemption
    for (const named_value &each : arguments_) {
        const std::string_view name = each.name;
        const std::string_view first = each.elements.empty() ? each.value : each.elements.front();
        if (is_any_of(name, "code", "codes", "campaign"))
            append_folded(coupon, first);
        else if (is_any_of(name, "user_id", "redemption_id"))
            user = first;
    }
    coupon.reserve(coupon.size() + user.size() + 1);
    return coupon.append(1, '\0').append(user);
}

pqxx::result function_call::run(pqxx::transaction_base &transaction,
                                const std::optional<lock_wait> &wait) const {
    std::vector<std::string> parameters;
    const auto parameter = [&](const std::string &value) {
        parameters.push_back(value);
        return "$" + std::to_string(parameters.size());
    };
    std::string list;
    for (const named_value &each : arguments_) {
        if (each.shape == form::absent)
            continue;
        std::string value;
        if (each.has_one_value()) {
            value = parameter(each.value);
        } else {
            for (const std::string &element : each.elements)
                value += (value.empty() ? "ARRAY[" : ", ") + parameter(element);
            value = value.empty() ? "ARRAY[]" : value + "]";
        }
        value += "::" + each.type();
        if (wait && list.empty())
            value = after_limiting(limit_of(*wait), value);
        list += (list.empty() ? "" : ", ") + std::string{each.name} + " => " + value;
    }
    const std::string statement =
        std::string{"SELECT "} + columns_ + " FROM " + function_ + "(" + list + ") AS answer";
    const auto lost = compat::commits_by_itself(transaction) ? if_lost::outcome_unknown
                                                             : if_lost::nothing_happened;
    return translating(transaction.conn(), lost,
                       [&] { return compat::exec(transaction, statement, parameters); });
}

} // namespace coupon_guard
