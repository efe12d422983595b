/// A way of redeeming a coupon: its tables, what a request does, and where its ledger is.
///
/// All of it is SQL, of a file in rivals/ (rivals/README.md has the form); only what the
/// extension's own strategy asks goes through the client library instead.
#ifndef COUPON_RACE_STRATEGIES_STRATEGY_HPP
#define COUPON_RACE_STRATEGIES_STRATEGY_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <coupon_guard/redemption.hpp>
#include <pqxx/transaction_base>

#include "race_log.hpp"

namespace coupon_race {

/// A coupon to be set up.
struct new_coupon {
    std::string code;
    std::int64_t cap = 0;    ///< 0: none
    std::int64_t budget = 0; ///< likewise
};

/// What a client of the shop asks for.
struct request {
    std::int64_t user = 0;
    std::string code;
    std::string request_id;           ///< the same for every repetition; empty: none
    std::chrono::microseconds ttl{0}; ///< of a hold
    /// What a strategy that looks before it writes does in between, as a slow service would.
    std::function<void()> think = [] {};
    std::int64_t amount = 0; ///< 0: none
};

/// Redeems for all clients of a race, who have no connections of their own for it. Any number of
/// threads may use it.
class shared_client {
  public:
    /// Of its backends.
    static constexpr char application_name[] = "coupon-race: shared";

    virtual ~shared_client() = default;

    /// Redeems, in a transaction that is committed when this returns: the redemption's id, or
    /// nothing if it is refused. Adds to `made` what had to be repeated on the way. Throws
    /// coupon_guard's errors.
    virtual std::optional<std::int64_t> take(const request &asked, attempt &made) = 0;
};

class strategy {
  public:
    /// `file` is one of rivals/ without ".sql": "drop/textbook"; its last part is the name. Throws
    /// std::logic_error if it is not in the program.
    explicit strategy(const std::string &file, bool promises_once_per_user = true);
    virtual ~strategy() = default;

    const std::string &name() const { return name_; }
    /// One line: what a request does.
    const std::string &method() const { return method_; }
    /// False only for the one that is here to fail.
    bool promises_once_per_user() const { return promises_once_per_user_; }
    virtual bool needs_extension() const { return false; }
    /// True if a request is one statement, which commits by itself.
    virtual bool alone() const { return part("redeem").alone; }
    bool serializable() const { return part("redeem").serializable; }
    /// True if a request whose outcome is unknown may be repeated, under its id, to learn it.
    virtual bool repeatable() const { return false; }
    /// How many connections clients share at the most; 0 if each has one of its own.
    virtual int shared_connections() const { return 0; }
    /// What clients share in one race, to the database of `connection`; null if they share nothing.
    virtual std::unique_ptr<shared_client> share(const std::string &) const { return nullptr; }

    /// Creates schema, tables and coupons, in a transaction of its own.
    void set_up(const std::string &connection, const std::vector<new_coupon> &coupons) const;
    /// What a connection must be told before it is used for anything below.
    std::string greeting() const;

    /// Redeems, or keeps a unit: the redemption's id, or nothing if it is refused. The transaction
    /// is for the caller to end. Throws what libpqxx or coupon_guard throws.
    virtual std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                             const request &asked) const;
    virtual std::optional<std::int64_t> hold(pqxx::transaction_base &transaction,
                                             const request &asked) const;
    /// False if the hold's deadline has passed.
    virtual bool confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const;
    /// What must be run now and then, for abandoned units to come back; empty: nothing.
    virtual std::string sweep() const;

    /// The redemptions of a coupon that count, through a new connection: what is committed, and
    /// nothing else.
    std::vector<ledger_row> ledger(const std::string &connection, const std::string &code) const;
    /// The one figure that a section of its file asks for, likewise; 0 if the file has none.
    std::int64_t figure(const std::string &connection, const std::string &section) const;

  protected:
    std::string name_;
    std::string method_;

  private:
    struct statement {
        std::string text; ///< with $1 ...; empty: time to think
        std::vector<std::string> parameters;
    };
    struct script {
        bool alone = false; ///< no BEGIN: one statement, which commits by itself
        bool serializable = false;
        std::vector<statement> statements;
    };
    using variables = std::map<std::string, std::string>;

    void read(const std::string &text);
    void add_statement(script &section, const std::string &text);
    const script &part(const std::string &section) const;
    static bool ask(pqxx::transaction_base &transaction, const statement &asked, variables &known);
    std::optional<std::int64_t> run(const std::string &section, pqxx::transaction_base &transaction,
                                    const request &asked, variables known) const;

    bool promises_once_per_user_;
    std::map<std::string, script> parts_;
};

/// Nothing if it is sold out, or what is left is not enough. Throws unexpected_answer for whatever
/// else keeps from redeeming, which should not happen where everyone comes once.
std::optional<std::int64_t> id_unless_sold_out(bool granted, const coupon_guard::redemption &got);

/// redeem_coupon(), through the client library as anyone would use it.
class guarded_strategy : public strategy {
  public:
    guarded_strategy(std::string method, bool alone);

    bool needs_extension() const override { return true; }
    bool alone() const override { return alone_; }
    bool repeatable() const override { return true; }
    std::optional<std::int64_t> take(pqxx::transaction_base &transaction,
                                     const request &asked) const override;
    std::optional<std::int64_t> hold(pqxx::transaction_base &transaction,
                                     const request &asked) const override;
    bool confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id) const override;

  protected:
    /// With another file to read its ledger by.
    guarded_strategy(const std::string &file, std::string method, bool alone);

  private:
    bool alone_;
};

} // namespace coupon_race

#endif
