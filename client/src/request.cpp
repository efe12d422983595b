/// Everything that can be asked: the call, and how its answer is read.

#include "request.hpp"

#include <algorithm>
#include <array>

#include <coupon_guard/client.hpp>

#include "timestamp_text.hpp"

namespace coupon_guard {

namespace {

// All columns that there are: an earlier version of the extension has fewer of them. Times are
// asked for as numbers too, because their text depends on DateStyle. Seconds as double precision
// hold a microsecond until 2106, and cost the server a tenth of what the numeric of extract() does.
// But for retry_at, which is seldom there: it must not be named, for 0.1.0 has no such column, and
// what finds it by another way costs each statement a quarter of its planning.
constexpr char all_columns[] = "answer.*";
constexpr char redemption_columns[] =
    "answer.*, (date_part('epoch', redeemed_at) * 1000000)::bigint AS redeemed_at_us";
constexpr char hold_columns[] =
    "answer.*, (date_part('epoch', hold_expires_at) * 1000000)::bigint AS hold_expires_at_us";
constexpr char only_value[] = "answer";

constexpr std::array<std::string_view, column_count> column_names{"status",
                                                                  "redemption_id",
                                                                  "coupon_id",
                                                                  "use_no",
                                                                  "terms",
                                                                  "replayed",
                                                                  "amount",
                                                                  "limited_by",
                                                                  "retry_at",
                                                                  "redeemed_at_us",
                                                                  "hold_expires_at_us",
                                                                  "code",
                                                                  "remaining_uses",
                                                                  "remaining_units",
                                                                  "remaining_budget",
                                                                  "answer"};

std::optional<timestamp> time_of(const answer_row &row, column time) {
    if (const auto at = row.get<std::int64_t>(time))
        return timestamp{std::chrono::microseconds{*at}};
    return std::nullopt;
}

status status_of(const answer_row &row) {
    const std::string name = row.get<std::string>(column::status).value_or("");
    const auto known = parse_status(name);
    if (!known)
        throw unexpected_answer{"the server answered with the status \"" + name +
                                "\", which this version of the library does not know"};
    return *known;
}

std::optional<limited_by> limited_by_of(const answer_row &row) {
    const auto name = row.get<std::string>(column::limited_by);
    if (!name)
        return std::nullopt;
    if (name == "coupon")
        return limited_by::coupon;
    if (name == "campaign")
        return limited_by::campaign;
    if (name == "shard")
        return limited_by::shard;
    throw unexpected_answer{"the server answered that it is limited by \"" + *name +
                            "\", which this version of the library does not know"};
}

std::optional<timestamp> retry_at_of(const answer_row &row) {
    const auto text = row.get<std::string>(column::retry_at);
    return text ? parse_timestamp(*text) : std::nullopt;
}

void read_common_columns(const answer_row &row, redemption &answer) {
    answer.status = status_of(row);
    answer.redemption_id = row.get<std::int64_t>(column::redemption_id);
    answer.coupon_id = row.get<std::int64_t>(column::coupon_id);
    answer.use_no = row.get<std::int32_t>(column::use_no);
    answer.terms = row.get<std::string>(column::terms);
    answer.replayed = row.get<bool>(column::replayed).value_or(false);
    answer.amount = row.get<std::int64_t>(column::amount);
    answer.limited_by = limited_by_of(row);
    answer.retry_at = retry_at_of(row);
}

redemption read_redemption(const answer_rows &rows) {
    const answer_row row = rows.only();
    redemption answer;
    read_common_columns(row, answer);
    answer.redeemed_at = time_of(row, column::redeemed_at_us);
    return answer;
}

redemption read_hold(const answer_rows &rows) {
    const answer_row row = rows.only();
    redemption answer;
    read_common_columns(row, answer);
    answer.hold_expires_at = time_of(row, column::hold_expires_at_us);
    return answer;
}

redemptions read_redemptions(const answer_rows &rows) {
    redemptions answer;
    for (int at = 0; at < rows.size(); ++at) {
        const answer_row row = rows[at];
        redemption_of_code each;
        each.code = row.must_have<std::string>(column::code);
        read_common_columns(row, each);
        each.redeemed_at = time_of(row, column::redeemed_at_us);
        answer.coupons.push_back(std::move(each));
    }
    return answer;
}

bool read_whether_voided(const answer_rows &rows) {
    return rows.only().must_have<bool>(column::answer);
}

claim_answer read_claim(const answer_rows &rows) {
    const answer_row row = rows.only();
    claim_answer answer;
    answer.status = status_of(row);
    answer.coupon_id = row.get<std::int64_t>(column::coupon_id);
    answer.code = row.get<std::string>(column::code);
    answer.terms = row.get<std::string>(column::terms);
    answer.replayed = row.get<bool>(column::replayed).value_or(false);
    answer.retry_at = retry_at_of(row);
    return answer;
}

availability read_availability(const answer_rows &rows) {
    const answer_row row = rows.only();
    availability answer;
    answer.status = status_of(row);
    answer.coupon_id = row.get<std::int64_t>(column::coupon_id);
    answer.remaining_uses = row.get<std::int32_t>(column::remaining_uses);
    answer.remaining_units = row.get<std::int64_t>(column::remaining_units);
    answer.remaining_budget = row.get<std::int64_t>(column::remaining_budget);
    answer.limited_by = limited_by_of(row);
    answer.retry_at = retry_at_of(row);
    return answer;
}

void add_options(function_call &call, const redeem_options &options) {
    call.argument_if_given("request_id", "text", options.request_id)
        .argument_if_given("metadata", "jsonb", options.metadata);
}

/// With an amount a function is one of its own, with privileges of its own: without one, that of
/// 0.1.0 is called.
void add_amount(function_call &call, const std::optional<std::int64_t> &amount) {
    if (amount)
        call.argument("amount", "bigint", std::to_string(*amount));
}

function_call call_for_campaign(const char *function, const user_id &user,
                                std::string_view campaign, std::string_view schema) {
    function_call call{function, schema, all_columns};
    call.user(user).argument("campaign", "text", campaign);
    return call;
}

template <typename Answer>
Answer run(pqxx::transaction_base &transaction, const request<Answer> &asked) {
    return asked.read(answer_rows{asked.call.run(transaction)});
}

} // namespace

column_places::column_places(const pqxx::result &rows) {
    at_.fill(nowhere);
    const int count = static_cast<int>(rows.columns());
    for (int place = 0; place < count && place < most; ++place) {
        const std::string_view name{rows.column_name(static_cast<pqxx::row::size_type>(place))};
        const auto known = std::find(column_names.begin(), column_names.end(), name);
        if (known != column_names.end())
            at_[static_cast<std::size_t>(known - column_names.begin())] =
                static_cast<signed char>(place);
    }
}

request<redemption> redeem_request(const user_id &user, std::string_view code,
                                   const redeem_options &options, std::string_view schema) {
    function_call call{"redeem_coupon", schema, redemption_columns};
    call.user(user).argument("code", "text", code);
    add_amount(call, options.amount);
    if (options.amount)
        call.argument("up_to", "boolean", options.up_to ? "true" : "false");
    add_options(call, options);
    if (!options.amount)
        call.for_each({"user_ids", "codes", "request_ids", "metadata"});
    return {std::move(call), read_redemption, options.request_id.has_value()};
}

request<redemption> hold_request(const user_id &user, std::string_view code,
                                 const hold_options &options, std::string_view schema) {
    if (options.up_to)
        throw misuse{"a hold does not take up_to", "22023"};
    function_call call{"hold_coupon", schema, hold_columns};
    call.user(user).argument("code", "text", code);
    if (options.ttl)
        call.argument("ttl", "interval", std::to_string(options.ttl->count()) + " microseconds");
    else if (options.amount)
        call.argument("ttl", "interval", "15 minutes"); // the default; with an amount there is none
    add_amount(call, options.amount);
    add_options(call, options);
    return {std::move(call), read_hold, options.request_id.has_value()};
}

request<redemption> confirm_request(std::int64_t redemption_id,
                                    const std::optional<std::int64_t> &amount,
                                    std::string_view schema) {
    function_call call{"confirm_hold", schema, redemption_columns};
    call.argument("redemption_id", "bigint", std::to_string(redemption_id));
    add_amount(call, amount);
    return {std::move(call), read_redemption, true};
}

request<bool> void_request(std::int64_t redemption_id, const std::optional<std::int64_t> &amount,
                           const std::optional<std::string> &reason, std::string_view schema) {
    function_call call{"void_redemption", schema, only_value};
    call.argument("redemption_id", "bigint", std::to_string(redemption_id));
    add_amount(call, amount);
    call.argument_if_given("reason", "text", reason);
    return {std::move(call), read_whether_voided, false};
}

request<redemptions> redeem_coupons_request(const user_id &user,
                                            const std::vector<std::string> &codes,
                                            const std::vector<std::optional<std::int64_t>> &amounts,
                                            const redeem_options &options,
                                            std::string_view schema) {
    if (options.amount)
        throw misuse{"redeem_coupons takes an amount for each code", "22023"};
    function_call call{"redeem_coupons", schema, redemption_columns};
    call.user(user).array_argument("codes", "text", codes);
    if (!amounts.empty())
        call.array_argument("amounts", amounts)
            .argument("up_to", "boolean", options.up_to ? "true" : "false");
    add_options(call, options);
    return {std::move(call), read_redemptions, options.request_id.has_value()};
}

request<claim_answer> claim_request(const user_id &user, std::string_view campaign,
                                    std::string_view schema) {
    return {call_for_campaign("claim_coupon", user, campaign, schema), read_claim, true};
}

/// Asked again, it would say not_found; or give back what the user has claimed anew meanwhile.
request<claim_answer> release_request(const user_id &user, std::string_view campaign,
                                      std::string_view schema) {
    return {call_for_campaign("release_claim", user, campaign, schema), read_claim, false};
}

request<availability> check_request(const user_id &user, std::string_view code,
                                    std::string_view schema) {
    function_call call{"check_coupon", schema, all_columns};
    call.user(user).argument("code", "text", code);
    return {std::move(call), read_availability, true};
}

redemption redeem(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                  const redeem_options &options, std::string_view schema) {
    return run(transaction, redeem_request(user, code, options, schema));
}

redemption hold(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                const hold_options &options, std::string_view schema) {
    return run(transaction, hold_request(user, code, options, schema));
}

redemption confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id,
                   std::string_view schema, const std::optional<std::int64_t> &amount) {
    return run(transaction, confirm_request(redemption_id, amount, schema));
}

bool void_redemption(pqxx::transaction_base &transaction, std::int64_t redemption_id,
                     const std::optional<std::string> &reason, std::string_view schema,
                     const std::optional<std::int64_t> &amount) {
    return run(transaction, void_request(redemption_id, amount, reason, schema));
}

redemptions redeem_coupons(pqxx::transaction_base &transaction, const user_id &user,
                           const std::vector<std::string> &codes, const redeem_options &options,
                           std::string_view schema,
                           const std::vector<std::optional<std::int64_t>> &amounts) {
    return run(transaction, redeem_coupons_request(user, codes, amounts, options, schema));
}

claim_answer claim(pqxx::transaction_base &transaction, const user_id &user,
                   std::string_view campaign, std::string_view schema) {
    return run(transaction, claim_request(user, campaign, schema));
}

claim_answer release_claim(pqxx::transaction_base &transaction, const user_id &user,
                           std::string_view campaign, std::string_view schema) {
    return run(transaction, release_request(user, campaign, schema));
}

availability check(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                   std::string_view schema) {
    return run(transaction, check_request(user, code, schema));
}

} // namespace coupon_guard
