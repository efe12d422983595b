/// Redeem coupons for many callers at once, over few connections.
///
///     coupon_guard::group_client coupons{"host=db dbname=shop"};
///
///     // in any number of threads
///     auto answer = coupons.redeem(42, "SAVE10", {"checkout-8f3a"});
///     if (answer.redeemed())
///         apply(answer.terms);
///
/// Callers who come while the connections are busy are redeemed together, in one statement and one
/// transaction: they share its round trip and its commit, and each gets its own answer. Where every
/// caller has a connection of its own, each pays for both.
///
/// The redemption is a transaction of its own, as client's is. To redeem in a transaction of yours,
/// with an order, call coupon_guard::redeem().
#ifndef COUPON_GUARD_GROUP_CLIENT_HPP
#define COUPON_GUARD_GROUP_CLIENT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <coupon_guard/client.hpp>

namespace coupon_guard {

/// How a group_client works. Since 0.1.0.
struct group_client_options : client_options {
    /// For groups: so many are under way at once.
    int connections = 2;
    /// For requests that wait for another transaction: each has one for as long as it waits, opened
    /// for it. Those beyond wait for one of these.
    int connections_apart = 4;
    /// A group has so many requests at most.
    std::size_t group_size = 128;
    /// So many requests may wait for their turn; the next is refused ...
    std::size_t queue_length = 10000;
    /// ... or, if this is set, waits all the same when a thread of its caller waits with it. A
    /// future is always refused.
    bool waits_when_full = false;
    /// How long a request may wait for its turn, and then for other transactions.
    std::chrono::milliseconds time_limit{30000};
    /// How long a group waits for another transaction before it goes on without the request that
    /// has to wait.
    std::chrono::milliseconds patience{50};
    /// The statement of a group is prepared, once for a connection: that saves the server a sixth
    /// of its work for a group of 32, four tenths for one of 8. Behind a pooler that does not keep
    /// prepared statements that is given up by itself, when a connection has lost its own for the
    /// second time; say false where a pooler should see none.
    bool prepares_statements = true;
    /// Called in a thread of the group_client after futures have become ready, once for all of a
    /// group: wakes an event loop. Must not throw, and not wait. It may be called until the
    /// destructor has returned.
    std::function<void()> when_ready;
};

/// Redeems for any number of threads.
///
/// Since 0.1.0.
class group_client {
  public:
    /// Opens the first connection; the others are opened when they are needed, and each anew when
    /// it has been lost. Throws connection_failed, and std::invalid_argument for options that allow
    /// nothing.
    explicit group_client(std::string conninfo, const group_client_options &options = {});

    /// As close().
    ~group_client();
    group_client(const group_client &) = delete;
    group_client &operator=(const group_client &) = delete;

    /// Redeems `code` for `user`. When this returns `redeemed`, it is committed.
    ///
    /// A caller who finds a connection free does it at once, in its own thread, and takes along
    /// those who wait: so one that is alone waits for nobody. Whatever is wrong with one request is
    /// told to its own caller: the others of its group are redeemed without it.
    ///
    /// Throws what errors.hpp lists, likewise client::redeem(): 40001 and 40P01 are repeated as the
    /// retry policy says; after a lost connection a request with a request id is asked again, so
    /// that it is made exactly once (`replayed` if it had been), and outcome_unknown is left for
    /// one without. Besides:
    ///
    ///   - not_sent: nothing was sent to the server, because the queue is full, the time limit has
    ///     passed or the group_client is being closed. The same request may be made again.
    ///   - gave_up_waiting (55P03): another transaction was in the way until the time limit, or the
    ///     session's lock_timeout, had passed.
    ///
    /// Once it has been sent, the answer is waited for. What bounds that are the settings of the
    /// connection: tcp_user_timeout and connect_timeout in `conninfo`, statement_timeout.
    ///
    /// A request that waits for another transaction (the same user's, that has redeemed and is not
    /// committed yet) leaves its group after `patience`, and goes on waiting on a connection of its
    /// own.
    redemption redeem(const user_id &user, std::string_view code,
                      const redeem_options &options = {});

    /// What client has, likewise. Requests of the same kind, and with user ids of the same type,
    /// share a group; those with an amount are of a kind of their own.
    redemption hold(const user_id &user, std::string_view code, const hold_options &options = {});
    redemption confirm(std::int64_t redemption_id, const std::optional<std::int64_t> &amount = {});
    bool void_redemption(std::int64_t redemption_id, const std::optional<std::string> &reason = {},
                         const std::optional<std::int64_t> &amount = {});
    redemptions redeem_coupons(const user_id &user, const std::vector<std::string> &codes,
                               const redeem_options &options = {},
                               const std::vector<std::optional<std::int64_t>> &amounts = {});
    claim_answer claim(const user_id &user, std::string_view campaign);         ///< Since 0.2.0
    claim_answer release_claim(const user_id &user, std::string_view campaign); ///< Since 0.2.0

    /// For event loops: these return at once. The request is made by a thread of the group_client,
    /// or by a caller who waits for another one; the future has what the form above would have
    /// returned or thrown. A future may be dropped; the request is made all the same.
    std::future<redemption> redeem_later(const user_id &user, std::string_view code,
                                         const redeem_options &options = {});
    std::future<redemption> hold_later(const user_id &user, std::string_view code,
                                       const hold_options &options = {});
    std::future<redemption> confirm_later(std::int64_t redemption_id,
                                          const std::optional<std::int64_t> &amount = {});
    std::future<bool> void_redemption_later(std::int64_t redemption_id,
                                            const std::optional<std::string> &reason = {},
                                            const std::optional<std::int64_t> &amount = {});
    std::future<redemptions>
    redeem_coupons_later(const user_id &user, const std::vector<std::string> &codes,
                         const redeem_options &options = {},
                         const std::vector<std::optional<std::int64_t>> &amounts = {});
    std::future<claim_answer> claim_later(const user_id &user, std::string_view campaign);
    std::future<claim_answer> release_claim_later(const user_id &user, std::string_view campaign);

    /// How many requests wait for their turn: for monitoring.
    std::size_t waiting() const;

    /// Fails requests that wait for their turn, and those made from now on, with not_sent, and
    /// returns when every other one has its answer and no caller is left inside. A request that
    /// waits for another transaction on a connection of its own goes on, up to its time limit; one
    /// that waits for such a connection fails with gave_up_waiting. No call may begin once the
    /// destructor has.
    void close();

  private:
    class implementation;
    std::unique_ptr<implementation> implementation_;
};

} // namespace coupon_guard

#endif
