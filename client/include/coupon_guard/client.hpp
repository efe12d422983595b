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
/// Given a request id, a connection lost at COMMIT is no riddle either: ask again, and get the one
/// redemption (client::redeem() does so by itself):
///
///     client.redeem(42, "SAVE10", {"checkout-8f3a"}).replayed
///
/// A gift card is a coupon with a budget; it pays what it has, and the rest is to be paid otherwise
/// (amounts are whole numbers of the smallest unit of the currency):
///
///     coupon_guard::redeem_options options{"checkout-8f3a"};
///     options.amount = 5000;
///     options.up_to = true;
///     client.redeem(42, "GIFT-7Q4K", options).amount
///
/// Of a campaign with a code for each user, every user gets one, always the same:
///
///     client.claim(42, "Summer 26").code
///
/// Where many threads redeem at once, group_client.hpp has them share connections and commits.
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
#include <vector>

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

/// Keeps a unit of `code` for `user` until a deadline, to be turned into a redemption by confirm()
/// or by redeem(). Asked again while the hold lives, it answers with that hold, its deadline and
/// its amount unchanged. A hold placed with a request id belongs to that request: with another
/// request id it is a use like any other (`already_redeemed`). All else as for redeem(). Since
/// 0.1.0.
redemption hold(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                const hold_options &options = {}, std::string_view schema = {});

/// Turns the hold with this redemption id into a redemption: `redeemed` (`replayed` if it was one
/// already), `expired` if its deadline has passed, or `voided` if it was given back before. misuse
/// (RC008) if there is none; all else as for redeem(). Since 0.1.0.
///
/// With an `amount`, for which it is redeemed: what the hold has beyond that goes back to the
/// budget; more than it has is misuse. Since 0.2.0.
redemption confirm(pqxx::transaction_base &transaction, std::int64_t redemption_id,
                   std::string_view schema = {}, const std::optional<std::int64_t> &amount = {});

/// Gives a redemption or a hold back, and its unit and its amount with it. True if it was voided
/// now, false if it had been before; misuse (RC008) if there is none with this id. Since 0.1.0.
///
/// With an `amount`, gives that part of its own back, and goes on counting as a redemption of the
/// rest; of all that it has left it is voided. True if that was done now; more than it has is
/// misuse. Since 0.2.0.
bool void_redemption(pqxx::transaction_base &transaction, std::int64_t redemption_id,
                     const std::optional<std::string> &reason = {}, std::string_view schema = {},
                     const std::optional<std::int64_t> &amount = {});

/// Redeems the coupons of all these codes, or none. If one is refused, those that could have been
/// redeemed are `withheld`. Callers who name the codes in different orders do not deadlock. A
/// request id stands for the codes together, in whatever order they are named when it is asked
/// again. More than 1,000 codes are misuse. All else as for redeem(). Since 0.1.0.
///
/// `amounts`, if there are any, are those of the codes: as many as codes, none for a code that has
/// none; options.up_to goes for all of them. options.amount is misuse. Since 0.2.0.
redemptions redeem_coupons(pqxx::transaction_base &transaction, const user_id &user,
                           const std::vector<std::string> &codes,
                           const redeem_options &options = {}, std::string_view schema = {},
                           const std::vector<std::optional<std::int64_t>> &amounts = {});

/// Makes `user` the holder of a code of `campaign` that nobody holds: `claimed`, and nobody else
/// may redeem it. Asked again, it answers with the same code (`replayed`). `sold_out` if none is
/// left and none can come free; `not_found` if there is no campaign of this name; or what the
/// campaign's window says. A name is compared as a code is, in any spelling. All else as for
/// redeem(). Since 0.2.0.
claim_answer claim(pqxx::transaction_base &transaction, const user_id &user,
                   std::string_view campaign, std::string_view schema = {});

/// Gives the user's code of `campaign` back: `released`, and it is the next one's.
/// `already_redeemed` if it has a redemption or a hold, and stays the user's; `not_found` if the
/// user has none, or there is no such campaign. All else as for redeem(). Since 0.2.0.
claim_answer release_claim(pqxx::transaction_base &transaction, const user_id &user,
                           std::string_view campaign, std::string_view schema = {});

/// What redeem() would answer now, and what is left. Changes and locks nothing. Since 0.1.0.
availability check(pqxx::transaction_base &transaction, const user_id &user, std::string_view code,
                   std::string_view schema = {});

/// How a client works. Since 0.1.0.
struct client_options {
    /// Where the extension was created; empty leaves it to the search_path.
    std::string schema;
    /// For conflicts, and for asking again after a lost connection: a server that needs longer to
    /// come back than all pauses together leaves outcome_unknown.
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
    ///
    /// Given a request id, a client that owns its connection resolves that by itself: it connects
    /// anew and asks again as the retry policy says, so that the redemption is made exactly once
    /// and the caller told so (`replayed` if the first request had made it). outcome_unknown is
    /// then left for a server that does not come back. A client that borrows its connection throws
    /// it at once: ask again through another one, with the same request id.
    redemption redeem(const user_id &user, std::string_view code,
                      const redeem_options &options = {});

    /// coupon_guard::hold(), confirm(), void_redemption(), redeem_coupons(), claim(),
    /// release_claim() and check(), each committed when it returns. What redeem() says of conflicts
    /// and of lost connections holds for them too. To ask again is always harmless for confirm(),
    /// claim() and check(), which need no request id for it; void_redemption() and release_claim()
    /// have none, and throw outcome_unknown.
    redemption hold(const user_id &user, std::string_view code, const hold_options &options = {});
    redemption confirm(std::int64_t redemption_id, const std::optional<std::int64_t> &amount = {});
    bool void_redemption(std::int64_t redemption_id, const std::optional<std::string> &reason = {},
                         const std::optional<std::int64_t> &amount = {});
    redemptions redeem_coupons(const user_id &user, const std::vector<std::string> &codes,
                               const redeem_options &options = {},
                               const std::vector<std::optional<std::int64_t>> &amounts = {});
    claim_answer claim(const user_id &user, std::string_view campaign);         ///< Since 0.2.0
    claim_answer release_claim(const user_id &user, std::string_view campaign); ///< Since 0.2.0
    availability check(const user_id &user, std::string_view code);

  private:
    class implementation;
    std::unique_ptr<implementation> implementation_;
};

} // namespace coupon_guard

#endif
