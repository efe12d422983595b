/// An argument of all calls is one parameter, an array in its text form, in which every element is
/// quoted and `"` and `\` are escaped. An argument that none of the calls has is left out, for a
/// group seldom has it for some only, and every array costs the server something for each call.
///
/// The client's encoding is known to the server alone. In some (SJIS, BIG5, GBK) the second byte of
/// a character may be the byte of `\`; escaped, that would be another text. Such a byte follows one
/// that is no ASCII, so a call that has `\` behind such a byte says that it does not fit, and is
/// made by itself. No encoding has the byte of `"` in a character.
///
/// Prepared statements. To parse and plan the statement costs the server as much as a few
/// redemptions, so it is prepared, once in a session. A pooler that hands each transaction to
/// whichever session is free, and does not know prepared statements (PgBouncer before 1.21, or
/// without max_prepared_statements), may hand it to one that has not prepared it: 26000, and
/// nothing has happened. It is prepared once more, in case a session was lost behind a pooler that
/// is otherwise faithful; the second time, no more on this connection. Names are nobody else's, so
/// that in a session that several clients share no other statement can be meant by one.
///
/// FUNCTION_for_each makes all the calls for a quarter less than a call of FUNCTION each. It is not
/// there in an extension of 0.1.0 (42883), and may not be granted to a role that may call FUNCTION
/// (42501): then FUNCTION is called, on this connection from then on. If it was a trigger's error
/// that looked alike, it comes again.
///
/// An extension that has been replaced by another version has other types, and a plan may not
/// change the types of its rows: 0A000. Then everything is prepared anew, and the group asked once
/// more; if that fails likewise it is somebody's own error, a trigger's.

#include "group_statement.hpp"

#include <algorithm>
#include <cstdint>
#include <random>

#include "error_translation.hpp"

namespace coupon_guard {

namespace {

std::string hexadecimal(std::uint64_t value) {
    std::string text;
    for (int digit = 15; digit >= 0; --digit)
        text += "0123456789abcdef"[value >> (4 * digit) & 15];
    return text;
}

std::string name_of_nobody_else() {
    std::random_device entropy;
    return "coupon_guard_" + hexadecimal((std::uint64_t{entropy()} << 32) | entropy()) + "_";
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

} // namespace

prepared_statements::prepared_statements(bool is_wanted)
    : is_wanted_{is_wanted}
    , prefix_{is_wanted ? name_of_nobody_else() : std::string{}} {}

const std::string &prepared_statements::prepare(const std::string &key,
                                                const std::string &statement,
                                                pqxx::transaction_base &transaction) {
    std::string name = prefix_ + std::to_string(++number_);
    compat::prepare(transaction, name, statement);
    ++prepared_;
    return names_.emplace(key, std::move(name)).first->second;
}

bool prepared_statements::may_be_why(const std::string &sqlstate) noexcept {
    if (may_call_for_each_ && (sqlstate == "42883" || sqlstate == "42501")) {
        may_call_for_each_ = false;
        names_.clear();
        return true;
    }
    if (!are_used())
        return false;
    if (sqlstate == "26000" || sqlstate == "42P05") {
        ++losses_;
    } else if (sqlstate != "0A000" || is_new_) {
        return false;
    }
    names_.clear();
    return true;
}

void prepared_statements::forget() noexcept {
    names_.clear();
    prepared_ = 0;
    losses_ = 0;
    may_call_for_each_ = true;
}

group_statement::group_statement(const std::vector<const function_call *> &calls,
                                 std::chrono::milliseconds patience)
    : first_{*calls.front()}
    , key_{first_.kind_} {
    parameters_.reserve(first_.arguments_.size() + 1);
    parameters_.push_back(std::to_string(std::max<long long>(patience.count(), 1)));
    for (std::size_t at = 0; at < first_.arguments_.size(); ++at) {
        const bool is_given =
            std::any_of(calls.begin(), calls.end(), [&](const function_call *call) {
                return call->arguments_[at].shape != function_call::form::absent;
            });
        key_ += is_given ? '+' : '-';
        if (is_given)
            add_array(calls, at);
    }
}

void group_statement::add_array(const std::vector<const function_call *> &calls, std::size_t at) {
    given_.push_back(at);
    std::string array{"{"};
    array.reserve(calls.size() * 24);
    for (const function_call *call : calls) {
        const function_call::named_value &each = call->arguments_[at];
        if (each.shape == function_call::form::absent)
            array += array.size() > 1 ? ",NULL" : "NULL";
        else if (each.has_one_value())
            append_element(array, each.value);
        else
            append_element(array, array_of(each.elements));
    }
    parameters_.push_back(array += "}");
}

bool group_statement::is_for_each(const prepared_statements &prepared) const {
    return !first_.for_each_.empty() && prepared.may_call_for_each();
}

std::string group_statement::call_for_each() const {
    std::string list;
    for (std::size_t place = 0; place < given_.size(); ++place) {
        const std::string array =
            "$" + std::to_string(place + 2) + "::" + first_.arguments_[given_[place]].type() + "[]";
        list += (place == 0 ? "" : ", ") + std::string{first_.for_each_[given_[place]]} + " => " +
                (place == 0 ? after_limiting("$1", array) : array);
    }
    return std::string{"SELECT answer.ordinality, "} + first_.columns_ + " FROM " +
           first_.function_ + "_for_each(" + list + ") WITH ORDINALITY AS answer";
}

std::string group_statement::calls_side_by_side() const {
    std::string arrays;
    std::string names;
    std::string list;
    for (std::size_t place = 0; place < given_.size(); ++place) {
        const function_call::named_value &each = first_.arguments_[given_[place]];
        const std::string type = each.type();
        const bool is_array = type.back() == ']'; // its elements would not stay together
        const std::string separator = place == 0 ? "" : ", ";
        const std::string name = "a" + std::to_string(place + 1);
        const std::string array =
            "$" + std::to_string(place + 2) + "::" + (is_array ? "text" : type) + "[]";
        arrays += separator + (place == 0 ? after_limiting("$1", array) : array);
        names += separator + name;
        list += separator + each.name + " => " + name + (is_array ? "::" + type : "");
    }
    return std::string{"SELECT call_number, "} + first_.columns_ + " FROM unnest(" + arrays +
           ") WITH ORDINALITY AS calls (" + names + ", call_number), LATERAL " + first_.function_ +
           "(" + list + ") AS answer";
}

pqxx::result group_statement::run(pqxx::transaction_base &transaction,
                                  prepared_statements &prepared) const {
    const auto text = [&] {
        return is_for_each(prepared) ? call_for_each() : calls_side_by_side();
    };
    if (!prepared.are_used())
        return translating(transaction.conn(), if_lost::outcome_unknown,
                           [&] { return compat::exec(transaction, text(), parameters_); });
    const std::string &name =
        translating(transaction.conn(), if_lost::nothing_happened, [&]() -> const std::string & {
            return prepared.name_of(key_, text, transaction);
        });
    return translating(transaction.conn(), if_lost::outcome_unknown,
                       [&] { return compat::exec_prepared(transaction, name, parameters_); });
}

} // namespace coupon_guard
