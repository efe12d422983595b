/// Who leads, who follows, and that nobody is forgotten. What answers a group here holds it until
/// the test lets it go, so each interleaving is one that the test has made.

#include "group_queue.hpp"

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include <coupon_guard/errors.hpp>
#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using coupon_guard::group_member;
using coupon_guard::group_queue;
using coupon_guard::not_sent;
using std::chrono::hours;

constexpr auto far_away = hours{1};

struct request : group_member {
    explicit request(std::string kind = "redeem", std::chrono::milliseconds limit = far_away)
        : group_member{std::move(kind), clock::now() + limit} {}

    std::thread::id answered_by;
};

void wait_until(const std::function<bool()> &condition) {
    while (!condition())
        std::this_thread::yield(); // the test's own time limit ends it
}

/// Answers groups, in lanes that can be blocked, and remembers them.
class Server {
  public:
    explicit Server(const group_queue::limits &limits = {1, 100, 100})
        : queue{limits, [this](std::size_t lane, const auto &group) { answer(lane, group); },
                [this] { ++times_told; }} {}
    ~Server() { let_go(); }

    void hold() { is_held_ = true; }
    void let_go() { is_held_ = false; }

    /// Waits until as many groups are being answered.
    void wait_for_groups(int number) {
        wait_until([&] { return under_way_ == number; });
    }
    void wait_for_waiting(std::size_t number) {
        wait_until([&] { return queue.waiting() == number; });
    }

    std::future<std::exception_ptr> ask(request &mine, bool waits_when_full = false) {
        return std::async(std::launch::async, [this, &mine, waits_when_full] {
            queue.ask(mine, waits_when_full);
            return mine.failure;
        });
    }

    /// The sizes of the groups so far, in the order in which they were begun.
    std::vector<std::size_t> sizes() const {
        const std::lock_guard<std::mutex> lock{mutex_};
        return sizes_;
    }

    std::atomic<int> most_at_once{0};
    std::atomic<int> times_told{0};

  private:
    void answer(std::size_t lane, const group_queue::members &group) {
        {
            const std::lock_guard<std::mutex> lock{mutex_};
            sizes_.push_back(group.size());
            EXPECT_TRUE(lanes_.insert(lane).second) << "a lane is one group's";
        }
        const int number = ++under_way_;
        if (number > most_at_once)
            most_at_once = number;
        wait_until([&] { return !is_held_; });
        for (group_member *each : group)
            static_cast<request *>(each)->answered_by = std::this_thread::get_id();
        const std::lock_guard<std::mutex> lock{mutex_};
        lanes_.erase(lane);
        --under_way_;
    }

    std::atomic<bool> is_held_{false};
    std::atomic<int> under_way_{0};
    mutable std::mutex mutex_;
    std::vector<std::size_t> sizes_;
    std::set<std::size_t> lanes_;

  public:
    group_queue queue; // last: its threads are gone before what they use
};

not_sent::reason reason_of(const std::exception_ptr &failure) {
    try {
        std::rethrow_exception(failure);
    } catch (const not_sent &caught) {
        return caught.why();
    }
}

using sizes = std::vector<std::size_t>;

TEST(GroupQueue, OneThatIsAloneIsAnsweredAtOnceOnItsOwnThread) {
    Server server;
    request mine;
    server.queue.ask(mine, false);
    EXPECT_EQ(mine.answered_by, std::this_thread::get_id());
    EXPECT_EQ(server.sizes(), sizes{1});
}

TEST(GroupQueue, ThoseWhoComeWhileTheLaneIsBusyShareTheNextGroup) {
    Server server;
    server.hold();
    request first, second, third, fourth;
    auto a = server.ask(first);
    server.wait_for_groups(1);
    auto b = server.ask(second), c = server.ask(third), d = server.ask(fourth);
    server.wait_for_waiting(3);
    server.let_go();
    for (auto *each : {&a, &b, &c, &d})
        EXPECT_FALSE(each->get());
    EXPECT_EQ(server.sizes(), (sizes{1, 3}));
    EXPECT_EQ(second.answered_by, third.answered_by);
    EXPECT_EQ(third.answered_by, fourth.answered_by);
}

TEST(GroupQueue, AGroupHasNoMoreThanItsSize) {
    Server server{{1, 2, 100}};
    server.hold();
    std::vector<std::unique_ptr<request>> requests;
    std::vector<std::future<std::exception_ptr>> answers;
    for (int number = 0; number < 6; ++number) {
        requests.push_back(std::make_unique<request>());
        answers.push_back(server.ask(*requests.back()));
        if (number == 0)
            server.wait_for_groups(1);
    }
    server.wait_for_waiting(5);
    server.let_go();
    for (auto &each : answers)
        EXPECT_FALSE(each.get());
    EXPECT_EQ(server.sizes(), (sizes{1, 2, 2, 1}));
}

TEST(GroupQueue, KindsDoNotMixAndTheEmptyKindIsAlone) {
    Server server;
    server.hold();
    request first, redeem, hold{"hold"}, alone{""}, also_alone{""}, redeem_too;
    auto a = server.ask(first);
    server.wait_for_groups(1);
    std::vector<std::future<std::exception_ptr>> answers;
    for (request *each : {&redeem, &hold, &alone, &also_alone, &redeem_too}) {
        answers.push_back(server.ask(*each));
        server.wait_for_waiting(answers.size());
    }
    server.let_go();
    a.get();
    for (auto &each : answers)
        EXPECT_FALSE(each.get());
    EXPECT_EQ(server.sizes(), (sizes{1, 2, 1, 1, 1}));
}

TEST(GroupQueue, LanesAreUsedAtOnceAndNoMoreThanThereAre) {
    Server server{{2, 1, 100}};
    server.hold();
    request first, second, third;
    auto a = server.ask(first), b = server.ask(second), c = server.ask(third);
    server.wait_for_groups(2);
    server.wait_for_waiting(1);
    server.let_go();
    a.get(), b.get(), c.get();
    EXPECT_EQ(server.most_at_once, 2);
}

TEST(GroupQueue, WhoseTimeIsOverLeavesAndTheOthersOfItsGroupStay) {
    Server server;
    server.hold();
    request first, impatient{"redeem", 1ms}, patient;
    auto a = server.ask(first);
    server.wait_for_groups(1);
    auto b = server.ask(impatient), c = server.ask(patient);
    EXPECT_EQ(reason_of(b.get()), not_sent::reason::time_limit);
    server.wait_for_waiting(1);
    server.let_go();
    EXPECT_FALSE(a.get());
    EXPECT_FALSE(c.get());
    EXPECT_EQ(server.sizes(), (sizes{1, 1}));
}

TEST(GroupQueue, WhatIsUnderWayIsWaitedForWhateverTheTimeLimit) {
    Server server;
    server.hold();
    request mine{"redeem", 1ms};
    auto a = server.ask(mine);
    server.wait_for_groups(1);
    EXPECT_EQ(a.wait_for(5ms), std::future_status::timeout);
    server.let_go();
    EXPECT_FALSE(a.get());
}

TEST(GroupQueue, AFullQueueRefusesOrHasOneWait) {
    Server server{{1, 100, 2}};
    server.hold();
    request first, second, third, refused, waits;
    auto a = server.ask(first);
    server.wait_for_groups(1);
    auto b = server.ask(second), c = server.ask(third);
    server.wait_for_waiting(2);
    try {
        server.queue.ask(refused, false);
        FAIL() << "no exception";
    } catch (const not_sent &caught) {
        EXPECT_EQ(caught.why(), not_sent::reason::queue_full);
    }
    EXPECT_THROW(server.queue.post(refused, [] {}), not_sent);
    auto e = server.ask(waits, true);
    server.wait_for_waiting(3);
    server.let_go();
    for (auto *each : {&a, &b, &c, &e})
        EXPECT_FALSE(each->get());
}

TEST(GroupQueue, ClosedItFailsWhoWaitsAndLetsWhatIsUnderWayEnd) {
    Server server;
    server.hold();
    request first, waits, posted, late;
    auto a = server.ask(first);
    server.wait_for_groups(1);
    auto b = server.ask(waits);
    std::promise<void> told;
    server.queue.post(posted, [&] { told.set_value(); });
    server.wait_for_waiting(2);
    server.queue.close();
    told.get_future().get();
    EXPECT_EQ(reason_of(posted.failure), not_sent::reason::closed);
    EXPECT_EQ(reason_of(b.get()), not_sent::reason::closed);
    EXPECT_THROW(server.queue.ask(late, true), not_sent);
    server.let_go();
    EXPECT_FALSE(a.get());
}

TEST(GroupQueue, WhatIsPostedIsLedByAThreadOfItsOwn) {
    Server server;
    request mine;
    std::promise<void> told;
    server.queue.post(mine, [&] { told.set_value(); });
    told.get_future().get();
    EXPECT_FALSE(mine.failure);
    EXPECT_NE(mine.answered_by, std::this_thread::get_id());
}

TEST(GroupQueue, WhatIsPostedSharesGroupsWithWhoAsksAndIsToldOnceForAGroup) {
    Server server;
    server.hold();
    request first, asked, posted, posted_too;
    auto a = server.ask(first);
    server.wait_for_groups(1);
    std::promise<void> told, told_too;
    server.queue.post(posted, [&] { told.set_value(); });
    server.queue.post(posted_too, [&] { told_too.set_value(); });
    auto b = server.ask(asked);
    server.wait_for_waiting(3);
    server.let_go();
    a.get(), b.get();
    told.get_future().get(), told_too.get_future().get();
    EXPECT_EQ(server.sizes(), (sizes{1, 3}));
    wait_until([&] { return server.times_told == 1; });
}

TEST(GroupQueue, WhatIsPostedIsNotSentAfterItsTimeLimit) {
    Server server;
    server.hold();
    request first, late{"redeem", 0ms};
    auto a = server.ask(first);
    server.wait_for_groups(1);
    std::promise<void> told;
    server.queue.post(late, [&] { told.set_value(); });
    server.let_go();
    told.get_future().get();
    EXPECT_EQ(reason_of(late.failure), not_sent::reason::time_limit);
    a.get();
}

/// Threads and posts, kinds, lanes and time limits that are often over: everyone is answered or
/// told that it was not sent. One that is forgotten hangs the test.
TEST(GroupQueue, NobodyIsForgotten) {
    Server server{{3, 4, 8}};
    constexpr int threads = 12, rounds = 400;
    std::atomic<int> told{0}, posted{0};
    std::vector<std::thread> callers;
    for (int number = 0; number < threads; ++number)
        callers.emplace_back([&, number] {
            for (int round = 0; round < rounds; ++round) {
                const std::string kind{"ab"[(number + round) % 2]};
                const auto limit = round % 5 == 0 ? 0ms : std::chrono::milliseconds{far_away};
                if (round % 3 == 0) {
                    const auto mine = std::make_shared<request>(kind, limit);
                    try {
                        server.queue.post(*mine, [mine, &told] { ++told; });
                        ++posted;
                    } catch (const not_sent &) {
                    }
                } else {
                    request mine{kind, limit};
                    server.queue.ask(mine, true);
                    EXPECT_NE(mine.failure == nullptr, mine.answered_by == std::thread::id{});
                }
            }
        });
    for (std::thread &each : callers)
        each.join();
    wait_until([&] { return told == posted; });
    EXPECT_EQ(server.queue.waiting(), 0u);
}

} // namespace
