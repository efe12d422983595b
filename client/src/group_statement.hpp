/// One statement for many calls, prepared where that pays (private).
#ifndef COUPON_GUARD_SRC_GROUP_STATEMENT_HPP
#define COUPON_GUARD_SRC_GROUP_STATEMENT_HPP

#include <map>
#include <string>
#include <vector>

#include "call.hpp"
#include "pqxx_compat.hpp"

namespace coupon_guard {

/// The statements that one session has prepared. The argument is in group_statement.cpp.
class prepared_statements {
  public:
    /// Nothing is prepared unless it `is_wanted`.
    explicit prepared_statements(bool is_wanted);

    bool are_used() const noexcept { return is_wanted_ && losses_ <= 1 && prepared_ < most; }

    /// Whether a statement may call FUNCTION_for_each, as far as is known.
    bool may_call_for_each() const noexcept { return may_call_for_each_; }

    /// So many in one session. There are some dozens; but those that were given up stay there.
    static constexpr int most = 200;

    /// The name of the statement, which is prepared here and now if it was not. Throws what libpqxx
    /// throws.
    template <typename Text>
    const std::string &name_of(const std::string &key, Text statement,
                               pqxx::transaction_base &transaction) {
        const auto known = names_.find(key);
        is_new_ = known == names_.end();
        return is_new_ ? prepare(key, statement(), transaction) : known->second;
    }

    /// True if an error of the server says that a statement was not prepared after all, is no
    /// longer what it was, or calls a function that is not there or not granted: nothing has
    /// happened, and the same calls may be made again, for they will be prepared anew, or not at
    /// all.
    bool may_be_why(const std::string &sqlstate) noexcept;

    /// The session is another one.
    void forget() noexcept;

  private:
    const std::string &prepare(const std::string &key, const std::string &statement,
                               pqxx::transaction_base &transaction);

    const bool is_wanted_;
    const std::string prefix_;
    int number_ = 0;   // of the statement that was prepared last, in all sessions
    int prepared_ = 0; // in this one
    int losses_ = 0;   // likewise
    bool may_call_for_each_ = true;
    bool is_new_ = false; // the statement that was asked for last
    std::map<std::string, std::string> names_;
};

class group_statement {
  public:
    /// Makes `calls`, all of one kind, in this order.
    group_statement(const std::vector<const function_call *> &calls,
                    std::chrono::milliseconds patience);

    /// Before the columns of each row stands the number of its call, from 1. Throws what errors.hpp
    /// lists: whichever call is to blame, none has been made.
    pqxx::result run(pqxx::transaction_base &transaction, prepared_statements &prepared) const;

  private:
    void add_array(const std::vector<const function_call *> &calls, std::size_t at);
    bool is_for_each(const prepared_statements &prepared) const;
    std::string call_for_each() const;
    std::string calls_side_by_side() const;

    const function_call &first_;
    std::vector<std::size_t> given_; // of the arguments, those that any of the calls has
    std::string key_;
    std::vector<std::string> parameters_;
};

} // namespace coupon_guard

#endif
