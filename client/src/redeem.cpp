/// The one statement that redeems: how it is put and how its answer is read.

#include <coupon_guard/client.hpp>

#include <vector>

#include "error_translation.hpp"
#include "pqxx_compat.hpp"
#include "sql_quoting.hpp"

namespace coupon_guard {

namespace {

/// libpq's text parameters end at the first zero byte: "SAVE10\0x" would redeem SAVE10. The server
/// has an SQLSTATE for bytes that no text can hold.
void check_no_zero_byte(const std::string &value, const char *what) {
    if (value.find('\0') != std::string::npos)
        throw misuse{std::string{what} + " contains a zero byte", "22021"};
}

/// Arguments by name: a later version of the function may have more of them in between. The cast
/// picks the overload. The time comes as a number because its text depends on DateStyle.
std::string statement_for(const user_id &user, const redeem_options &options,
                          std::string_view schema) {
    std::string function = "redeem_coupon";
    if (!schema.empty())
        function = quote_identifier(schema) + "." + function;
    std::string arguments = "user_id => $1::";
    arguments += user.sql_type();
    arguments += ", code => $2::text";
    if (options.metadata)
        arguments += ", metadata => $3::jsonb";
    return "SELECT status::text AS status, redemption_id, coupon_id, use_no,"
           " (extract(epoch FROM redeemed_at) * 1000000)::bigint AS redeemed_at_us,"
           " terms::text AS terms FROM " +
           function + "(" + arguments + ")";
}

template <typename Value, typename Row>
std::optional<Value> optional_column(const Row &row, const char *name) {
    const auto &field = row[name];
    if (field.is_null())
        return std::nullopt;
    return field.template as<Value>();
}

redemption read_answer(const pqxx::result &rows) {
    if (rows.size() != 1)
        throw unexpected_answer{"redeem_coupon() returned no row"};
    const auto row = rows[0];
    const auto name = optional_column<std::string>(row, "status").value_or("");
    const auto known = parse_status(name);
    if (!known)
        throw unexpected_answer{"redeem_coupon() returned the status \"" + name +
                                "\", which this version of the library does not know"};
    redemption answer;
    answer.status = *known;
    answer.redemption_id = optional_column<std::int64_t>(row, "redemption_id");
    answer.coupon_id = optional_column<std::int64_t>(row, "coupon_id");
    answer.use_no = optional_column<std::int32_t>(row, "use_no");
    if (const auto at = optional_column<std::int64_t>(row, "redeemed_at_us"))
        answer.redeemed_at = timestamp{std::chrono::microseconds{*at}};
    answer.terms = optional_column<std::string>(row, "terms");
    return answer;
}

} // namespace

redemption redeem(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                  const redeem_options &options, std::string_view schema) {
    std::vector<std::string> parameters{user.text(), std::string{code}};
    check_no_zero_byte(parameters[0], "user id");
    check_no_zero_byte(parameters[1], "code");
    if (options.metadata) {
        check_no_zero_byte(*options.metadata, "metadata");
        parameters.push_back(*options.metadata);
    }
    const auto lost = compat::commits_by_itself(transaction) ? if_lost::outcome_unknown
                                                             : if_lost::nothing_happened;
    return translating(transaction.conn(), lost, [&] {
        return read_answer(
            compat::exec(transaction, statement_for(user, options, schema), parameters));
    });
}

} // namespace coupon_guard
