/// Redeem coupons from C++. Needs the extension coupon_guard in the database.
///
///     coupon_guard::client client{"host=db dbname=shop"};
///     auto answer = client.redeem(42, "SAVE10");
///     if (answer.redeemed())
///         apply(answer.terms);
///
/// or, so that the order and the redemption stand or fall together:
///
///     pqxx::work transaction{connection};
///     auto answer = coupon_guard::redeem(transaction, 42, "SAVE10");
///     if (answer.redeemed())
///         transaction.exec("INSERT INTO orders ...");
///     transaction.commit();
///
/// No prepared statement and no session state is used, so that a pooler in transaction mode may
/// stand in between.
#ifndef COUPON_GUARD_CLIENT_HPP
#define COUPON_GUARD_CLIENT_HPP

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <pqxx/connection>
#include <pqxx/transaction_base>

#include <coupon_guard/errors.hpp>
#include <coupon_guard/redemption.hpp>
#include <coupon_guard/retry.hpp>
#include <coupon_guard/status.hpp>
#include <coupon_guard/user_id.hpp>

namespace coupon_guard {

/// Redeems `code` for `user` inside the caller's transaction: it is committed or rolled back with
/// everything else there.
///
/// `schema` is where the extension was created; empty leaves it to the search_path. Strings are in
/// the connection's client encoding.
///
/// Throws what errors.hpp lists, transaction_conflict at the first conflict: a transaction can only
/// be repeated as a whole, and only the caller knows the whole. A conflict may also come with the
/// caller's own commit(), as libpqxx reports it. After any sql_error the transaction is aborted.
/// Since 0.1.0.
redemption redeem(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                  const redeem_options &options = {}, std::string_view schema = {});

/// How a client works. Since 0.1.0.
struct client_options {
    /// Where the extension was created; empty leaves it to the search_path.
    std::string schema;
    retry_policy retry;
    /// For pauses that can be foretold (tests, simulations); by default they cannot.
    std::optional<std::uint64_t> jitter_seed;
};

/// A connection that redeems, each call a transaction of its own.
///
/// A client serves one thread at a time; different clients are independent of each other. Since
/// 0.1.0.
class client {
  public:
    /// Connects, and owns the connection: once lost it is opened again by the next call. `conninfo`
    /// is a connection string or URI as libpq takes it, environment and service files included.
    /// Throws connection_failed.
    explicit client(std::string conninfo, client_options options = {});

    /// Borrows a connection, from a pool for instance. It must outlive the client, have no
    /// transaction open during a call, and is never opened again by the client.
    explicit client(pqxx::connection &borrowed, client_options options = {});

    client(client &&) noexcept;
    client &operator=(client &&) noexcept;
    ~client();

    /// Redeems `code` for `user`, in one round trip and one transaction. When this returns
    /// `redeemed`, it is committed.
    ///
    /// 40001 and 40P01 are repeated as the retry policy says; redemption::retries tells how often.
    /// Throws what errors.hpp lists. outcome_unknown means that the connection broke after the
    /// request was sent: the redemption may have been made.
    redemption redeem(const user_id &user, std::string_view code,
                      const redeem_options &options = {});

  private:
    class implementation;
    std::unique_ptr<implementation> implementation_;
};

} // namespace coupon_guard

#endif
