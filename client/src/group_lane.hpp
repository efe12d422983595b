/// A connection that has a group answered (private). The argument is in group_lane.cpp.
#ifndef COUPON_GUARD_SRC_GROUP_LANE_HPP
#define COUPON_GUARD_SRC_GROUP_LANE_HPP

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "group_queue.hpp"
#include "group_statement.hpp"
#include "owned_connection.hpp"
#include "request.hpp"

namespace coupon_guard {

/// One call as a member of a group. `asked` must outlive it.
class group_call : public group_member {
  public:
    group_call(const function_call &asked, clock::time_point deadline);

    // Unless `failure` is set:
    answer_rows rows;
    bool waits_too_long = false; ///< not made: another transaction was in the way

    int conflicts = 0; ///< how often it was made again after 40001 or 40P01 of its group

  private:
    friend class group_lane;

    const function_call &call_;
    std::string lock_order_;
};

class group_lane {
  public:
    /// A group waits for another transaction as long as `patience`. `mending` is shared by all
    /// lanes of a client.
    group_lane(const std::string &conninfo, std::chrono::milliseconds patience, std::mutex &mending,
               bool prepares_statements);

    /// Opens the connection. Throws connection_failed.
    void open() { connection_.ready(); }

    /// Each call is made, and committed, or has its failure, or waits too long.
    void answer(const group_queue::members &group) noexcept;

  private:
    using calls = std::vector<group_call *>;

    enum class ending { settled, rolled_back, lost };

    ending settle(const calls &group, std::chrono::milliseconds patience);
    ending settle_in_halves(const calls &group);
    void ask(const calls &group, std::chrono::milliseconds patience);
    void ask_once(const calls &group, std::chrono::milliseconds patience);
    pqxx::connection &ready_connection();
    static void share(const pqxx::result &rows, const calls &group);

    owned_connection connection_;
    prepared_statements prepared_;
    int prepared_in_ = 0; // when connection_ had been opened so often
    std::chrono::milliseconds patience_;
    std::mutex &mending_;
};

} // namespace coupon_guard

#endif
