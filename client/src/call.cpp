/// In a statement of one call each value is a parameter. In a statement of many calls an argument
/// of all of them is one parameter, an array in its text form, in which every element is quoted and
/// `"` and `\` are escaped.
///
/// The client's encoding is known to the server alone. In some (SJIS, BIG5, GBK) the second byte of
/// a character may be the byte of `\`; escaped, that would be another text. Such a byte follows one
/// that is no ASCII, so a call that has `\` behind such a byte says that it does not fit, and is
/// made by itself. No encoding has the byte of `"` in a character.

#include "call.hpp"

#include <algorithm>

#include "error_translation.hpp"
#include "sql_quoting.hpp"

namespace coupon_guard {

namespace {

/// libpq's text parameters end at the first zero byte: "SAVE10\0x" would redeem SAVE10. The server
/// has an SQLSTATE for bytes that no text can hold.
void refuse_zero_byte(const char *name, const std::string &value) {
    if (value.find('\0') != std::string::npos)
        throw misuse{std::string{name} + " contains a zero byte", "22021"};
}

bool is_ascii(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x80;
}

bool may_end_in_backslash(const std::string &value) noexcept {
    for (std::size_t at = 1; at < value.size(); ++at)
        if (value[at] == '\\' && !is_ascii(value[at - 1]))
            return true;
    return false;
}

void append_element(std::string &array, const std::string &value) {
    array += array.size() > 1 ? ",\"" : "\"";
    for (const char c : value) {
        if (c == '"' || c == '\\')
            array += '\\';
        array += c;
    }
    array += '"';
}

std::string array_of(const std::vector<std::string> &values) {
    std::string array{"{"};
    for (const std::string &value : values)
        append_element(array, value);
    return array += "}";
}

/// `value`, but the wait is limited before it is there: the server evaluates it before it calls the
/// function that it is an argument of.
std::string after_limiting(const lock_wait &wait, const std::string &value) {
    const std::string milliseconds = std::to_string(std::max<long long>(wait.at_most.count(), 1));
    const std::string limit =
        wait.session_may_say_less
            ? "least(nullif(extract(epoch FROM pg_catalog.current_setting('lock_timeout')"
              "::interval) * 1000, 0), " +
                  milliseconds + ")::integer::text"
            : "'" + milliseconds + "'";
    return "CASE WHEN pg_catalog.set_config('lock_timeout', " + limit +
           ", true) IS NOT NULL THEN " + value + " END";
}

/// Roughly what makes a code key of a code: without the blanks around it, letters in lower case.
std::string folded(const std::string &code) {
    const auto first = code.find_first_not_of(' ');
    if (first == std::string::npos)
        return {};
    std::string key = code.substr(first, code.find_last_not_of(' ') - first + 1);
    for (char &c : key)
        if (c >= 'A' && c <= 'Z')
            c = static_cast<char>(c - 'A' + 'a');
    return key;
}

pqxx::result run_statement(pqxx::transaction_base &transaction, const std::string &statement,
                           const std::vector<std::string> &parameters) {
    const auto lost = compat::commits_by_itself(transaction) ? if_lost::outcome_unknown
                                                             : if_lost::nothing_happened;
    return translating(transaction.conn(), lost,
                       [&] { return compat::exec(transaction, statement, parameters); });
}

} // namespace

function_call::function_call(const char *function, std::string_view schema, std::string columns)
    : function_{function}
    , columns_{std::move(columns)} {
    if (!schema.empty())
        function_ = quote_identifier(schema) + "." + function_;
    kind_.reserve(columns_.size() + function_.size() + 200);
    kind_.append(columns_).append(" FROM ").append(function_);
    arguments_.reserve(6);
}

function_call &function_call::user(const user_id &value) {
    return argument("user_id", value.sql_type(), value.text());
}

function_call &function_call::argument(const char *name, const char *sql_type,
                                       std::string_view value) {
    return add(name, sql_type, form::scalar, {std::string{value}});
}

function_call &function_call::array_argument(const char *name, const char *element_type,
                                             const std::vector<std::string> &values) {
    return add(name, element_type, form::array, values);
}

function_call &function_call::argument_if_given(const char *name, const char *sql_type,
                                                const std::optional<std::string> &value) {
    return value ? argument(name, sql_type, *value) : add(name, sql_type, form::absent, {});
}

function_call &function_call::add(const char *name, const char *sql_type, form shape,
                                  std::vector<std::string> values) {
    for (const std::string &value : values)
        refuse_zero_byte(name, value);
    kind_.append(" ").append(name).append(" ").append(sql_type);
    kind_ += shape == form::array ? "[]" : "";
    arguments_.push_back({name, sql_type, shape, std::move(values)});
    return *this;
}

bool function_call::fits_in_array() const noexcept {
    for (const named_value &each : arguments_)
        for (const std::string &value : each.values)
            if (may_end_in_backslash(value))
                return false;
    return true;
}

std::string function_call::first_value_of(std::string_view name) const {
    for (const named_value &each : arguments_)
        if (each.name == name && !each.values.empty())
            return each.values.front();
    return {};
}

std::string function_call::lock_order() const {
    const std::string coupon = folded(first_value_of("code") + first_value_of("codes"));
    return coupon + '\0' + first_value_of("user_id") + first_value_of("redemption_id");
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
        if (each.shape == form::scalar) {
            value = parameter(each.values.front());
        } else {
            for (const std::string &element : each.values)
                value += (value.empty() ? "ARRAY[" : ", ") + parameter(element);
            value = value.empty() ? "ARRAY[]" : value + "]";
        }
        value += "::" + each.type();
        if (wait && list.empty())
            value = after_limiting(*wait, value);
        list += (list.empty() ? "" : ", ") + std::string{each.name} + " => " + value;
    }
    return run_statement(transaction,
                         "SELECT " + columns_ + " FROM " + function_ + "(" + list + ") AS answer",
                         parameters);
}

pqxx::result run_together(pqxx::transaction_base &transaction,
                          const std::vector<const function_call *> &calls, const lock_wait &wait) {
    const function_call &first = *calls.front();
    std::vector<std::string> parameters;
    std::string arrays;
    std::string names;
    std::string list;
    for (std::size_t at = 0; at < first.arguments_.size(); ++at) {
        std::string array{"{"};
        for (const function_call *call : calls) {
            const function_call::named_value &each = call->arguments_[at];
            if (each.shape == function_call::form::absent)
                array += array.size() > 1 ? ",NULL" : "NULL";
            else if (each.shape == function_call::form::scalar)
                append_element(array, each.values.front());
            else
                append_element(array, array_of(each.values));
        }
        parameters.push_back(array += "}");
        const std::string number = std::to_string(at + 1);
        const std::string values = "$" + number + "::text[]";
        const std::string separator = at == 0 ? "" : ", ";
        arrays += separator + (at == 0 ? after_limiting(wait, values) : values);
        names += separator + "a" + number;
        list += separator + first.arguments_[at].name + " => a" + number +
                "::" + first.arguments_[at].type();
    }
    return run_statement(transaction,
                         "SELECT call_number, " + first.columns_ + " FROM unnest(" + arrays +
                             ") WITH ORDINALITY AS calls (" + names + ", call_number), LATERAL " +
                             first.function_ + "(" + list + ") AS answer",
                         parameters);
}

} // namespace coupon_guard
