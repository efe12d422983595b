/// What can go wrong, sorted by what the caller can do about it. A refusal is no error: see status.
///
///     error
///       sql_error              the server said no; nothing was redeemed by this request
///         transaction_conflict 40001, 40P01: repeat the whole transaction
///         misuse               22xxx: a value the functions do not take (empty user, bad bytes,
///                              an amount below 1, none where the coupon has a budget);
///                              54000: one that is too large (more than 1,000 codes);
///                              RC007: the request id was used for another coupon;
///                              RC008: there is no redemption with this id
///         not_permitted        42501: no EXECUTE on the function, no USAGE on its schema
///         not_installed        42883, 42P01, 3F000: no such function where it was looked for
///         read_only            25006: a standby or a read-only transaction
///         gave_up_waiting      55P03, 57014: lock_timeout, statement_timeout or a cancel
///       connection_error
///         connection_failed    no connection: nothing was sent
///         connection_lost      it broke, or the server ended the session (08xxx, 57P01 to 57P05,
///                              25P03, 25P04), and nothing can have been redeemed
///         outcome_unknown      likewise, and nobody told whether the redemption happened
///       not_sent               a group_client has not sent the request: its queue is full, the
///                              time limit has passed, it is closed
///       unexpected_answer      the server's answer is none this version of the library can read
///
/// Too many attempts are no error either: the answer's status is throttled, and its retry_at says
/// when to come again.
#ifndef COUPON_GUARD_ERRORS_HPP
#define COUPON_GUARD_ERRORS_HPP

#include <stdexcept>
#include <string>
#include <utility>

namespace coupon_guard {

/// Any failure of this library. Since 0.1.0.
class error : public std::runtime_error {
  public:
    explicit error(const std::string &message, std::string sqlstate = {})
        : std::runtime_error{message}
        , sqlstate_{std::move(sqlstate)} {}

    /// The five characters of SQLSTATE, or empty if the failure has none.
    const std::string &sqlstate() const noexcept { return sqlstate_; }

  private:
    std::string sqlstate_;
};

/// The server refused the statement. Its transaction is aborted, so nothing of it remains.
class sql_error : public error {
    using error::error;
};

/// A conflict with another transaction. client::redeem() has already repeated the request as often
/// as its policy allows; after redeem() in the caller's own transaction only the caller can repeat.
class transaction_conflict : public sql_error {
  public:
    explicit transaction_conflict(const std::string &message, std::string sqlstate, int retries = 0)
        : sql_error{message, std::move(sqlstate)}
        , retries_{retries} {}

    /// How often the request was repeated before this was thrown.
    int retries() const noexcept { return retries_; }

  private:
    int retries_;
};

class misuse : public sql_error {
    using sql_error::sql_error;
};

class not_permitted : public sql_error {
    using sql_error::sql_error;
};

class not_installed : public sql_error {
    using sql_error::sql_error;
};

class read_only : public sql_error {
    using sql_error::sql_error;
};

class gave_up_waiting : public sql_error {
    using sql_error::sql_error;
};

class connection_error : public error {
    using error::error;
};

class connection_failed : public connection_error {
    using connection_error::connection_error;
};

class connection_lost : public connection_error {
    using connection_error::connection_error;
};

/// The connection broke between the request and the answer. The redemption may have been made: look
/// before telling the user anything. Given a request id, ask again with the same: the answer is
/// then that of the one redemption there is. Without one, asking again is safe for the shop (a
/// coupon for one use is never used twice) but answers `already_redeemed` if the first request did
/// go through.
class outcome_unknown : public connection_error {
    using connection_error::connection_error;
};

/// What a group_client says of a request that it has not sent, so that nothing can have been
/// redeemed: the same request may be made again. Since 0.1.0.
class not_sent : public error {
  public:
    enum class reason {
        queue_full, ///< as many wait as may: do less, or later
        time_limit, ///< it was not its turn within the time limit
        closed,     ///< the group_client is being closed
    };

    explicit not_sent(reason why)
        : error{why == reason::queue_full   ? "not sent: the queue is full"
                : why == reason::time_limit ? "not sent: the time limit has passed"
                                            : "not sent: the group_client is closed"}
        , why_{why} {}

    reason why() const noexcept { return why_; }

  private:
    reason why_;
};

class unexpected_answer : public error {
    using error::error;
};

} // namespace coupon_guard

#endif
