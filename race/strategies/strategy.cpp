#include "strategies/strategy.hpp"

#include <cctype>
#include <sstream>

#include <coupon_guard/client.hpp>

#include "embedded.hpp"
#include "pqxx_compat.hpp"
#include "sql_quoting.hpp"

namespace coupon_race {

namespace {

bool ends_with(const std::string &text, const std::string &end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.npos, end) == 0;
}

bool is_of_a_name(char each) {
    return std::isalnum(static_cast<unsigned char>(each)) || each == '_';
}

/// Where the same user may come more than once, alone, no refusal is unexpected.
std::optional<std::int64_t> id_if(bool granted, const coupon_guard::redemption &got, bool alone) {
    return alone && !granted ? std::nullopt : id_unless_sold_out(granted, got);
}

} // namespace

strategy::strategy(const std::string &file, bool promises_once_per_user)
    : name_{file.substr(file.rfind('/') + 1)}
    , promises_once_per_user_{promises_once_per_user} {
    read(embedded("shop.sql"));
    read(embedded(file + ".sql"));
}

/// What is read later takes the place of what was there.
void strategy::read(const std::string &text) {
    std::istringstream lines{text};
    std::string line;
    std::getline(lines, line);
    method_ = line.substr(3);
    script *section = nullptr;
    std::string lines_so_far;
    while (std::getline(lines, line)) {
        if (line.compare(0, 4, "-- [") == 0)
            section = &(parts_[line.substr(4, line.find(']') - 4)] = {true, false, {}});
        else if (line == "-- think")
            section->statements.emplace_back();
        if (line.empty() || line.compare(0, 2, "--") == 0)
            continue;
        lines_so_far += line + "\n";
        for (const char *end : {";\n", " \\gset\n"})
            if (ends_with(lines_so_far, end)) {
                lines_so_far.erase(lines_so_far.rfind(end));
                add_statement(*section, lines_so_far);
                lines_so_far.clear();
                break;
            }
    }
}

/// Variables become parameters, a "::" stays what it is.
void strategy::add_statement(script &section, const std::string &text) {
    if (text.compare(0, 5, "BEGIN") == 0) {
        section.alone = false;
        section.serializable = ends_with(text, "SERIALIZABLE");
        return;
    }
    if (text == "COMMIT")
        return;
    statement made;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const std::size_t name = at + 1;
        std::size_t end = name;
        while (text[at] == ':' && end < text.size() && is_of_a_name(text[end]))
            ++end;
        if (end > name && (at == 0 || text[at - 1] != ':')) {
            made.parameters.push_back(text.substr(name, end - name));
            made.text += "$" + std::to_string(made.parameters.size());
            at = end - 1;
        } else {
            made.text += text[at];
        }
    }
    section.statements.push_back(made);
}

const strategy::script &strategy::part(const std::string &section) const {
    static const script empty;
    const auto found = parts_.find(section);
    return found == parts_.end() ? empty : found->second;
}

std::string strategy::greeting() const {
    // A server may have another default; a file in rivals/ says itself when it wants another level.
    return "SET default_transaction_isolation = 'read committed'; SET search_path = " +
           coupon_guard::quote_identifier(name_);
}

void strategy::set_up(const std::string &connection, const std::vector<new_coupon> &coupons) const {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    transaction.exec("CREATE SCHEMA " + coupon_guard::quote_identifier(name_));
    transaction.exec(greeting());
    variables known;
    for (const char *section : {"tables", "rules"})
        for (const statement &each : part(section).statements)
            ask(transaction, each, known);
    for (const new_coupon &coupon : coupons) {
        known = {{"code", coupon.code},
                 {"cap", std::to_string(coupon.cap)},
                 {"budget", std::to_string(coupon.budget)}};
        for (const statement &each : part("coupon").statements)
            ask(transaction, each, known);
    }
    transaction.commit();
}

/// True if there is a row, whose columns are variables from then on.
bool strategy::ask(pqxx::transaction_base &transaction, const statement &asked, variables &known) {
    std::vector<std::string> parameters;
    for (const std::string &name : asked.parameters)
        parameters.push_back(known.at(name));
    const pqxx::result rows = coupon_guard::compat::exec(transaction, asked.text, parameters);
    if (rows.empty())
        return false;
    for (auto column = rows.columns(); column-- > 0;)
        if (!rows[0][column].is_null())
            known[std::string{rows.column_name(column)}] = rows[0][column].as<std::string>();
    return true;
}

std::optional<std::int64_t> strategy::run(const std::string &section,
                                          pqxx::transaction_base &transaction, const request &asked,
                                          variables known) const {
    try {
        for (const statement &each : part(section).statements)
            if (each.text.empty())
                asked.think();
            else if (!ask(transaction, each, known))
                return std::nullopt;
    } catch (const pqxx::unique_violation &) {
        return std::nullopt;
    }
    return std::stoll(known.at("redemption_id"));
}

std::optional<std::int64_t> strategy::take(pqxx::transaction_base &transaction,
                                           const request &asked) const {
    return run("redeem", transaction, asked,
               {{"user", std::to_string(asked.user)},
                {"code", asked.code},
                {"amount", std::to_string(asked.amount)}});
}

std::optional<std::int64_t> strategy::hold(pqxx::transaction_base &transaction,
                                           const request &asked) const {
    return run("hold", transaction, asked,
               {{"user", std::to_string(asked.user)},
                {"code", asked.code},
                {"ttl", std::to_string(asked.ttl.count()) + " microseconds"}});
}

bool strategy::confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const {
    return run("confirm", transaction, {}, {{"redemption_id", std::to_string(redemption_id)}})
        .has_value();
}

std::string strategy::sweep() const {
    const script &sweeping = part("sweep");
    return sweeping.statements.empty() ? "" : sweeping.statements.front().text;
}

std::vector<ledger_row> strategy::ledger(const std::string &connection,
                                         const std::string &code) const {
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    transaction.exec(greeting());
    std::vector<ledger_row> rows;
    for (const auto &row :
         coupon_guard::compat::exec(transaction, part("ledger").statements.front().text, {code}))
        rows.push_back(
            {row["redemption_id"].as<std::int64_t>(), row["user_id"].as<std::int64_t>(),
             row.size() > 2 && !row["amount"].is_null() ? row["amount"].as<std::int64_t>() : 0});
    return rows;
}

std::int64_t strategy::figure(const std::string &connection, const std::string &section) const {
    if (part(section).statements.empty())
        return 0;
    pqxx::connection database{connection};
    pqxx::work transaction{database};
    transaction.exec(greeting());
    return transaction.exec(part(section).statements.front().text)[0][0].as<std::int64_t>();
}

std::optional<std::int64_t> id_unless_sold_out(bool granted, const coupon_guard::redemption &got) {
    if (granted)
        return got.redemption_id;
    if (got.status == coupon_guard::status::sold_out ||
        got.status == coupon_guard::status::insufficient)
        return std::nullopt;
    throw coupon_guard::unexpected_answer{"coupon_guard answered " +
                                          std::string{to_string(got.status)}};
}

guarded_strategy::guarded_strategy(std::string method, bool alone)
    : guarded_strategy{"redeem_coupon", std::move(method), alone} {}

guarded_strategy::guarded_strategy(const std::string &file, std::string method, bool alone)
    : strategy{file}
    , alone_{alone} {
    method_ = std::move(method);
}

std::optional<std::int64_t> guarded_strategy::take(pqxx::transaction_base &transaction,
                                                   const request &asked) const {
    coupon_guard::redeem_options options;
    if (!asked.request_id.empty())
        options.request_id = asked.request_id;
    if (asked.amount > 0)
        options.amount = asked.amount;
    const auto got = coupon_guard::redeem(transaction, asked.user, asked.code, options, name());
    return id_if(got.redeemed(), got, alone_);
}

std::optional<std::int64_t> guarded_strategy::hold(pqxx::transaction_base &transaction,
                                                   const request &asked) const {
    coupon_guard::hold_options options;
    options.ttl = asked.ttl;
    const auto got = coupon_guard::hold(transaction, asked.user, asked.code, options, name());
    return id_if(got.held(), got, alone_);
}

bool guarded_strategy::confirm(pqxx::transaction_base &transaction,
                               std::int64_t redemption_id) const {
    return coupon_guard::confirm(transaction, redemption_id, name()).redeemed();
}

} // namespace coupon_race
