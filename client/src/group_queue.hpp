/// Who leads a group and who follows (private; knows no SQL). The argument is in group_queue.cpp.
#ifndef COUPON_GUARD_SRC_GROUP_QUEUE_HPP
#define COUPON_GUARD_SRC_GROUP_QUEUE_HPP

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "workers.hpp"

namespace coupon_guard {

class group_queue;

/// A request on its way through the queue. Whoever hands it in keeps it until it is answered.
class group_member {
  public:
    using clock = std::chrono::steady_clock;

    /// Members of one kind may share a group; an empty kind shares with none.
    group_member(std::string kind, clock::time_point deadline)
        : kind_{std::move(kind)}
        , deadline_{deadline} {}

    /// Set if it has failed.
    std::exception_ptr failure;

  private:
    friend class group_queue;
    struct group;

    std::string kind_;
    clock::time_point deadline_;
    std::shared_ptr<group> group_;
    std::function<void()> when_answered_; // of those that were posted
};

class group_queue {
  public:
    using members = std::vector<group_member *>;

    struct limits {
        std::size_t lanes;        ///< groups under way at once
        std::size_t group_size;   ///< members of a group
        std::size_t queue_length; ///< members that wait
    };

    /// Gives every member that has not failed yet its answer or its failure. Called with a lane
    /// that is nobody else's meanwhile; must not throw.
    using answering = std::function<void(std::size_t lane, const members &group)>;

    /// `posted_answered` is called when posted members have been answered, once for all of a group.
    group_queue(const limits &limit, answering answer, std::function<void()> posted_answered = {});

    /// Returns when `mine` has been answered, by this thread or another. Fails with not_sent: after
    /// its deadline, if no group has taken it by then; when the queue is full, unless
    /// `waits_when_full`; when it is closed.
    void ask(group_member &mine, bool waits_when_full);

    /// Hands `mine` in and returns. `when_answered` is called later, in another thread, and must
    /// not throw. Throws not_sent (the queue is full or closed) or std::system_error (no thread
    /// can be had); then it is not called.
    void post(group_member &mine, std::function<void()> when_answered);

    /// How many wait for their turn.
    std::size_t waiting() const;

    /// Fails those who wait, and whoever comes, with not_sent. What is under way goes on.
    void close();

  private:
    using group = group_member::group;

    /// Who is called to lead, when the lock is no longer held.
    struct wake_up {
        std::shared_ptr<group> sleepers; // one of them
        bool driver = false;             // or a driver
    };

    void join(group_member &mine, bool waits_when_full, bool is_posted);
    void withdraw(group_member &mine);
    bool may_lead() const { return !free_lanes_.empty() && !waiting_.empty(); }
    void lead(std::unique_lock<std::mutex> &lock) noexcept;
    std::shared_ptr<group> take();
    static bool mark_answered(group &answered) noexcept;
    void tell_posted(group &answered) noexcept;
    bool sleep(std::unique_lock<std::mutex> &lock, const group_member &mine);
    wake_up call_a_leader();
    void forget_calls(group &of) noexcept;
    void wake(const wake_up &called) noexcept;
    void drive();

    const limits limits_;
    const answering answer_;
    const std::function<void()> posted_answered_;

    mutable std::mutex mutex_; // guards all below, and the groups
    std::deque<std::shared_ptr<group>> waiting_;
    std::vector<std::size_t> free_lanes_;
    std::size_t queued_ = 0; // members of waiting_
    std::size_t called_ = 0; // to lead, and not yet there: of waiting_, and drivers
    bool is_closed_ = false;

    workers drivers_; // last: gone before what they use
};

} // namespace coupon_guard

#endif
