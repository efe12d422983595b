#include "call.hpp"

#include "error_translation.hpp"
#include "sql_quoting.hpp"

namespace coupon_guard {

function_call::function_call(const char *function, std::string_view schema)
    : name_{function}
    , function_{function} {
    if (!schema.empty())
        function_ = quote_identifier(schema) + "." + function_;
}

function_call &function_call::user(const user_id &value) {
    return argument("user_id", value.sql_type(), value.text());
}

function_call &function_call::argument(const char *name, const char *sql_type,
                                       std::string_view value) {
    begin_argument(name);
    arguments_ += placeholder(name, value) + "::" + sql_type;
    return *this;
}

function_call &function_call::argument_if_given(const char *name, const char *sql_type,
                                                const std::optional<std::string> &value) {
    return value ? argument(name, sql_type, *value) : *this;
}

function_call &function_call::array_argument(const char *name, const char *element_type,
                                             const std::vector<std::string> &values) {
    begin_argument(name);
    std::string elements;
    for (const std::string &value : values)
        elements += (elements.empty() ? "" : ", ") + placeholder(name, value);
    arguments_ += "ARRAY[" + elements + "]::" + element_type + "[]";
    return *this;
}

void function_call::begin_argument(const char *name) {
    if (!arguments_.empty())
        arguments_ += ", ";
    arguments_ += std::string{name} + " => ";
}

/// libpq's text parameters end at the first zero byte: "SAVE10\0x" would redeem SAVE10. The server
/// has an SQLSTATE for bytes that no text can hold.
std::string function_call::placeholder(const char *name, std::string_view value) {
    if (value.find('\0') != std::string_view::npos)
        throw misuse{std::string{name} + " contains a zero byte", "22021"};
    parameters_.emplace_back(value);
    return "$" + std::to_string(parameters_.size());
}

pqxx::result function_call::run(pqxx::transaction_base &transaction,
                                const std::string &columns) const {
    const auto lost = compat::commits_by_itself(transaction) ? if_lost::outcome_unknown
                                                             : if_lost::nothing_happened;
    return translating(transaction.conn(), lost, [&] {
        return compat::exec(transaction,
                            "SELECT " + columns + " FROM " + function_ + "(" + arguments_ + ")",
                            parameters_);
    });
}

pqxx::result function_call::run_for_one_row(pqxx::transaction_base &transaction,
                                            const std::string &columns) const {
    pqxx::result rows = run(transaction, columns);
    if (rows.size() != 1)
        throw unexpected_answer{name_ + "() returned no row"};
    return rows;
}

std::string microseconds_of(const char *column) {
    return std::string{"(extract(epoch FROM "} + column + ") * 1000000)::bigint AS " + column +
           "_us";
}

status read_status(const std::optional<std::string> &name) {
    const auto known = parse_status(name.value_or(""));
    if (!known)
        throw unexpected_answer{"the server answered with the status \"" + name.value_or("") +
                                "\", which this version of the library does not know"};
    return *known;
}

} // namespace coupon_guard
