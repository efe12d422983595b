/// A caller joins the last waiting group of its kind, or begins one. When a lane is free, whoever
/// is awake takes the group that has waited longest and leads it: closes it to others, has it
/// answered, tells its members. A caller who finds a lane free leads at once, on its own thread,
/// alone if nobody else is there. There is no timer and no minimum: what groups callers is that
/// lanes are busy.
///
/// Nobody is forgotten. Whenever a thread is about to sleep or to leave, and holds the mutex, it
/// holds that
///     no lane is free, or no group waits, or as many have been called to lead as could,
/// for a lane becomes free and a group begins to wait under the mutex only, and whoever makes
/// either happen leads or calls somebody. A caller that is called may find that another was faster,
/// who came by while it woke up: then that one leads, and it sleeps again. A call holds as long as
/// the caller's group waits: whoever takes the group has forgotten the call, and calls anew if
/// another group could be led. So a caller whose group has been answered owes nothing to anybody.
/// One whose time is over calls the next before it leaves. Only a member that sleeps is called; one
/// that is awake will look by itself. A group of posted members alone has nobody who sleeps: a
/// driver, a thread of the queue's own, is called to lead it.
///
/// Nobody waits without end for its turn. Groups are taken in the order in which they began, and a
/// group has a limited size. A caller whose deadline passes takes its request out of the queue.
/// Once a group has been taken its members wait for its answer.
///
/// Waking. Members of one group sleep on one word. It is changed under the mutex, with a call and
/// with the answer, and a member reads it under the mutex before it sleeps: so it cannot sleep
/// through either. All of them are woken by one system call, after the next leader has been called,
/// so that the lane is not idle meanwhile; and they leave without the mutex, for which threads that
/// wake up all at once would queue. A caller that is alone makes none.

#include "group_queue.hpp"

#include <algorithm>
#include <utility>

#include <coupon_guard/errors.hpp>

#include "wait_word.hpp"

namespace coupon_guard {

struct group_member::group {
    group_queue::members members;
    group_queue::members posted; // of the members
    std::size_t sleepers = 0;    // until it is answered
    std::size_t called = 0;      // of the sleepers, until it is taken
    bool is_taken = false;
    wait_word news; // odd: it has been answered; a call adds two

    bool is_answered() const noexcept { return news.get() & 1; }
};

namespace {

std::exception_ptr refusal(not_sent::reason why) {
    return std::make_exception_ptr(not_sent{why});
}

} // namespace

group_queue::group_queue(const limits &limit, answering answer,
                         std::function<void()> posted_answered)
    : limits_{limit}
    , answer_{std::move(answer)}
    , posted_answered_{std::move(posted_answered)}
    , drivers_{limit.lanes} {
    for (std::size_t lane = limit.lanes; lane > 0; --lane)
        free_lanes_.push_back(lane - 1); // taken from the back: the first one first
}

void group_queue::ask(group_member &mine, bool waits_when_full) {
    std::unique_lock<std::mutex> lock{mutex_};
    join(mine, waits_when_full, false);
    const std::shared_ptr<group> with = mine.group_;
    while (!with->is_answered()) {
        if (may_lead()) {
            lead(lock);
        } else if (!with->is_taken && group_member::clock::now() >= mine.deadline_) {
            withdraw(mine);
            mine.failure = refusal(not_sent::reason::time_limit);
            const wake_up called = call_a_leader();
            lock.unlock();
            return wake(called);
        } else if (!sleep(lock, mine)) {
            return;
        }
    }
}

void group_queue::post(group_member &mine, std::function<void()> when_answered) {
    drivers_.start(); // so that it cannot fail when there is a group to lead
    std::unique_lock<std::mutex> lock{mutex_};
    join(mine, false, true);
    mine.when_answered_ = std::move(when_answered);
    const wake_up called = call_a_leader();
    lock.unlock();
    wake(called);
}

std::size_t group_queue::waiting() const {
    const std::lock_guard<std::mutex> lock{mutex_};
    return queued_;
}

void group_queue::close() {
    std::deque<std::shared_ptr<group>> refused;
    {
        const std::lock_guard<std::mutex> lock{mutex_};
        is_closed_ = true;
        queued_ = 0;
        refused.swap(waiting_);
        for (const auto &each : refused) {
            for (group_member *member : each->members)
                member->failure = refusal(not_sent::reason::closed);
            each->is_taken = true;
            forget_calls(*each);
            mark_answered(*each);
        }
    }
    for (const auto &each : refused) {
        each->news.wake_all();
        tell_posted(*each);
    }
}

void group_queue::join(group_member &mine, bool waits_when_full, bool is_posted) {
    if (is_closed_)
        throw not_sent{not_sent::reason::closed};
    if (queued_ >= limits_.queue_length && !waits_when_full)
        throw not_sent{not_sent::reason::queue_full};
    const auto last = std::find_if(waiting_.rbegin(), waiting_.rend(), [&](const auto &each) {
        return !mine.kind_.empty() && each->members.front()->kind_ == mine.kind_;
    });
    const bool may_join = last != waiting_.rend() && (*last)->members.size() < limits_.group_size;
    const std::shared_ptr<group> with = may_join ? *last : std::make_shared<group>();
    if (with->members.size() ==
        with->members.capacity()) // so that what follows cannot fail halfway
        with->members.reserve(std::max<std::size_t>(16, 2 * with->members.size()));
    if (is_posted)
        with->posted.push_back(&mine);
    with->members.push_back(&mine);
    mine.group_ = with;
    if (!may_join)
        waiting_.push_back(with);
    ++queued_;
}

void group_queue::withdraw(group_member &mine) {
    members &all = mine.group_->members;
    all.erase(std::find(all.begin(), all.end(), &mine));
    --queued_;
    if (all.empty())
        waiting_.erase(std::find(waiting_.begin(), waiting_.end(), mine.group_));
}

/// The group that has waited longest: nobody can join it or leave it from now on.
std::shared_ptr<group_queue::group> group_queue::take() {
    std::shared_ptr<group> first = std::move(waiting_.front());
    waiting_.pop_front();
    queued_ -= first->members.size();
    first->is_taken = true;
    forget_calls(*first);
    return first;
}

void group_queue::forget_calls(group &of) noexcept {
    called_ -= of.called;
    of.called = 0;
}

/// True if there are sleepers, who are then to be woken. From now on those who asked may be gone,
/// and their members with them; those that were posted are there until they have been told.
bool group_queue::mark_answered(group &answered) noexcept {
    answered.news.add(1);
    return answered.sleepers > 0;
}

void group_queue::lead(std::unique_lock<std::mutex> &lock) noexcept {
    const std::shared_ptr<group> led = take();
    const std::size_t lane = free_lanes_.back();
    free_lanes_.pop_back();
    wake_up called = call_a_leader(); // there may be another lane, and another group
    lock.unlock();
    wake(called);

    // Posted members have no thread of their own to look at the clock.
    const auto now = group_member::clock::now();
    for (group_member *each : led->members)
        if (each->when_answered_ && now >= each->deadline_)
            each->failure = refusal(not_sent::reason::time_limit);
    answer_(lane, led->members);

    lock.lock();
    free_lanes_.push_back(lane);
    called = call_a_leader();
    const bool are_asleep = mark_answered(*led);
    lock.unlock();
    wake(called);
    if (are_asleep)
        led->news.wake_all();
    tell_posted(*led);
    lock.lock();
}

void group_queue::tell_posted(group &answered) noexcept {
    for (group_member *each : answered.posted) {
        const std::function<void()> when_answered = std::move(each->when_answered_);
        when_answered();
    }
    if (!answered.posted.empty() && posted_answered_)
        posted_answered_();
}

/// False if the group has been answered: then the lock is not held, and not needed.
bool group_queue::sleep(std::unique_lock<std::mutex> &lock, const group_member &mine) {
    group &with = *mine.group_;
    const bool is_taken = with.is_taken;
    const auto seen = with.news.get();
    ++with.sleepers;
    lock.unlock();
    if (is_taken)
        with.news.sleep(seen);
    else
        with.news.sleep_until(seen, mine.deadline_);
    if (with.is_answered())
        return false;
    lock.lock();
    --with.sleepers;
    if (with.called > 0) { // whether this one or another is awake
        --with.called;
        --called_;
    }
    return true;
}

/// If a group could be led: calls one of its members who sleep, or a driver. None, if all of its
/// members are awake.
group_queue::wake_up group_queue::call_a_leader() {
    if (called_ >= std::min(free_lanes_.size(), waiting_.size()))
        return {};
    const std::shared_ptr<group> &first = waiting_.front();
    if (first->sleepers > first->called) {
        ++first->called;
        ++called_;
        first->news.add(2);
        return {first, false};
    }
    if (first->posted.empty())
        return {};
    ++called_;
    return {nullptr, true};
}

void group_queue::wake(const wake_up &called) noexcept {
    if (called.sleepers)
        called.sleepers->news.wake_one();
    if (called.driver)
        drivers_.submit([this] { drive(); });
}

void group_queue::drive() {
    std::unique_lock<std::mutex> lock{mutex_};
    --called_;
    while (may_lead())
        lead(lock);
}

} // namespace coupon_guard
