/// Everything that changes the ledger: how it is asked for and how the answer is read.

#include <coupon_guard/client.hpp>

#include "call.hpp"

namespace coupon_guard {

namespace {

constexpr char common_columns[] =
    "status::text AS status, redemption_id, coupon_id, use_no, terms::text AS terms, replayed, ";

template <typename Row>
void read_common_columns(const Row &row, redemption &answer) {
    answer.status = read_status(optional_column<std::string>(row, "status"));
    answer.redemption_id = optional_column<std::int64_t>(row, "redemption_id");
    answer.coupon_id = optional_column<std::int64_t>(row, "coupon_id");
    answer.use_no = optional_column<std::int32_t>(row, "use_no");
    answer.terms = optional_column<std::string>(row, "terms");
    answer.replayed = optional_column<bool>(row, "replayed").value_or(false);
}

redemption run_for_redemption(pqxx::transaction_base &transaction, const function_call &call) {
    const pqxx::result rows =
        call.run_for_one_row(transaction, common_columns + microseconds_of("redeemed_at"));
    redemption answer;
    read_common_columns(rows[0], answer);
    answer.redeemed_at = time_column(rows[0], "redeemed_at_us");
    return answer;
}

void add_options(function_call &call, const redeem_options &options) {
    call.argument_if_given("request_id", "text", options.request_id)
        .argument_if_given("metadata", "jsonb", options.metadata);
}

} // namespace

redemption redeem(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                  const redeem_options &options, std::string_view schema) {
    function_call call{"redeem_coupon", schema};
    call.user(user).argument("code", "text", code);
    add_options(call, options);
    return run_for_redemption(transaction, call);
}

redemption hold(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                const hold_options &options, std::string_view schema) {
    function_call call{"hold_coupon", schema};
    call.user(user).argument("code", "text", code);
    if (options.ttl)
        call.argument("ttl", "interval", std::to_string(options.ttl->count()) + " microseconds");
    add_options(call, options);
    const pqxx::result rows =
        call.run_for_one_row(transaction, common_columns + microseconds_of("hold_expires_at"));
    redemption answer;
    read_common_columns(rows[0], answer);
    answer.hold_expires_at = time_column(rows[0], "hold_expires_at_us");
    return answer;
}

redemption confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id,
                   std::string_view schema) {
    function_call call{"confirm_hold", schema};
    call.argument("redemption_id", "bigint", std::to_string(redemption_id));
    return run_for_redemption(transaction, call);
}

bool void_redemption(pqxx::transaction_base &transaction, std::int64_t redemption_id,
                     const std::optional<std::string> &reason, std::string_view schema) {
    function_call call{"void_redemption", schema};
    call.argument("redemption_id", "bigint", std::to_string(redemption_id))
        .argument_if_given("reason", "text", reason);
    return call.run_for_one_row(transaction, "void_redemption")[0][0].as<bool>();
}

redemptions redeem_coupons(pqxx::transaction_base &transaction, const user_id &user,
                           const std::vector<std::string> &codes, const redeem_options &options,
                           std::string_view schema) {
    function_call call{"redeem_coupons", schema};
    call.user(user).array_argument("codes", "text", codes);
    add_options(call, options);
    const pqxx::result rows = call.run(transaction, std::string{"code, "} + common_columns +
                                                        microseconds_of("redeemed_at"));
    redemptions answer;
    for (const auto &row : rows) {
        redemption_of_code each;
        each.code = row["code"].as<std::string>();
        read_common_columns(row, each);
        each.redeemed_at = time_column(row, "redeemed_at_us");
        answer.coupons.push_back(std::move(each));
    }
    return answer;
}

availability check(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                   std::string_view schema) {
    function_call call{"check_coupon", schema};
    call.user(user).argument("code", "text", code);
    const pqxx::result rows = call.run_for_one_row(
        transaction, "status::text AS status, coupon_id, remaining_uses, remaining_units");
    availability answer;
    answer.status = read_status(optional_column<std::string>(rows[0], "status"));
    answer.coupon_id = optional_column<std::int64_t>(rows[0], "coupon_id");
    answer.remaining_uses = optional_column<std::int32_t>(rows[0], "remaining_uses");
    answer.remaining_units = optional_column<std::int64_t>(rows[0], "remaining_units");
    return answer;
}

} // namespace coupon_guard
