/// Connections that are lost: whose request has a request id is told what became of it, the others
/// that nobody knows.

#include <atomic>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "group_fixture.hpp"
#include "lost_commit.hpp"
#include "os/cutting_proxy.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using coupon_race::cutting_proxy;

constexpr std::size_t never = static_cast<std::size_t>(-1);

std::string server_socket() {
    const auto server = test_server().connection();
    return server.at("host") + "/.s.PGSQL." + server.at("port");
}

/// Six callers of one group, of whom the odd ones have a request id.
class GroupLoss : public WithUntoldCommit<Group> {
  protected:
    auto six(group_client &coupons) {
        return in_one_group(coupons, 6, [&](int number) {
            redeem_options options;
            if (number % 2)
                options.request_id = "a";
            return coupons.redeem(number, "SAVE10", options);
        });
    }
};

TEST_F(GroupLoss, KilledBeforeTheCommitRecordItIsMadeAgainForThoseWithARequestId) {
    kill_at_commit(1);
    group_client coupons{connection(), one_connection()};
    auto answers = six(coupons);
    for (int number = 0; number < 6; ++number) {
        auto &answer = answers[static_cast<std::size_t>(number)];
        if (number % 2) {
            const redemption got = answer.get();
            EXPECT_TRUE(got.redeemed());
            EXPECT_FALSE(got.replayed) << "the first one was rolled back";
            EXPECT_EQ(got.asked_again, 1);
        } else {
            EXPECT_THROW(answer.get(), outcome_unknown);
        }
        EXPECT_EQ(rows_of(std::to_string(number)), number % 2 ? "1" : "0");
    }
    EXPECT_TRUE(coupons.redeem(0, "SAVE10").redeemed()) << "still usable";
}

TEST_F(GroupLoss, CommittedAndUntoldItIsFoundByThoseWithARequestId) {
    name_standbys("nobody");
    group_client coupons{connection(), one_connection()};
    auto answers = six(coupons);
    kill_the_one_that_has_committed();
    name_standbys("");
    for (int number = 0; number < 6; ++number) {
        auto &answer = answers[static_cast<std::size_t>(number)];
        if (number % 2) {
            const redemption got = answer.get();
            EXPECT_TRUE(got.redeemed());
            EXPECT_TRUE(got.replayed) << "the first one was committed";
            EXPECT_EQ(got.asked_again, 1);
        } else {
            EXPECT_THROW(answer.get(), outcome_unknown);
        }
        EXPECT_EQ(rows_of(std::to_string(number)), "1");
    }
}

TEST_F(GroupLoss, AServerThatAlwaysFailsLeavesTheOutcomeUnknown) {
    kill_at_commit(1000);
    group_client coupons{connection(), one_connection()};
    auto answers = six(coupons);
    for (auto &each : answers)
        EXPECT_THROW(each.get(), outcome_unknown);
    EXPECT_THROW(coupons.redeem_later(1, "SAVE10", {"a"}).get(), outcome_unknown);
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "1");
}

TEST_F(GroupLoss, AFutureIsResolvedToo) {
    kill_at_commit(1);
    group_client coupons{connection(), one_connection()};
    const redemption got = coupons.redeem_later(1, "SAVE10", {"a"}).get();
    EXPECT_TRUE(got.redeemed());
    EXPECT_EQ(got.asked_again, 1);
    EXPECT_EQ(rows_of("1"), "1");
}

TEST_F(GroupLoss, WhereNobodyListensAnyMoreTheConnectionFails) {
    std::optional<cutting_proxy> proxy{std::in_place, server_socket(), [](int) {
                                           return cutting_proxy::cut{true, never};
                                       }};
    group_client coupons{connection() + proxy->conninfo(), one_connection()};
    ASSERT_TRUE(coupons.redeem(1, "SAVE10").redeemed());
    proxy.reset();
    EXPECT_THROW(coupons.redeem(2, "SAVE10"), connection_error) << "lost, or the outcome unknown";
    EXPECT_THROW(coupons.redeem(2, "SAVE10"), connection_failed);
    EXPECT_THROW(coupons.redeem(2, "SAVE10", {"a"}), connection_failed);
    EXPECT_EQ(rows_of("2"), "0");
}

/// Thousands of groups, whose connections end all the time. Each request is of a user of its own,
/// every second one has a request id.
class GroupStorm : public Group {
  protected:
    static constexpr int threads = 8, requests = 600;

    GroupStorm() { run("INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', 1000000)"); }

    struct tally {
        std::map<std::string, std::int64_t> redeemed; // by user: the redemption's id
        std::set<std::string> unknown, nothing_happened;
    };

    void storm(const std::string &conninfo, const std::function<void(int)> &after_request = {}) {
        group_client_options options;
        options.retry = {20, std::chrono::microseconds{100}, std::chrono::microseconds{5000}};
        options.group_size = 6; // more groups
        group_client coupons{conninfo, options};
        std::vector<std::thread> callers;
        for (int number = 0; number < threads; ++number)
            callers.emplace_back([&, number] {
                for (int turn = 0; turn < requests; ++turn) {
                    make_one(coupons, "u" + std::to_string(turn * threads + number), turn);
                    if (after_request)
                        after_request(++made_);
                }
            });
        for (std::thread &each : callers)
            each.join();
    }

    /// The acknowledged are there, the others only if nobody knows; nobody has another's.
    void judge() {
        pqxx::connection mine{connection()};
        pqxx::nontransaction transaction{mine};
        std::map<std::string, std::int64_t> rows;
        for (const auto &row :
             transaction.exec("SELECT user_id, id FROM coupon_redemption WHERE voided_at IS NULL"))
            EXPECT_TRUE(rows.emplace(row[0].as<std::string>(), row[1].as<std::int64_t>()).second);
        for (const auto &[user, id] : found_.redeemed)
            EXPECT_EQ(rows[user], id) << user;
        for (const std::string &user : found_.nothing_happened)
            EXPECT_EQ(rows.count(user), 0u) << user;
        for (const std::string &user : found_.unknown) {
            EXPECT_EQ(found_.redeemed.count(user), 0u);
            rows.erase(user);
        }
        EXPECT_EQ(rows.size(), found_.redeemed.size())
            << "whatever else is there, somebody knows of";
        EXPECT_EQ(found_.redeemed.size() + found_.unknown.size() + found_.nothing_happened.size(),
                  static_cast<std::size_t>(threads * requests));
        EXPECT_GT(found_.redeemed.size(), static_cast<std::size_t>(threads * requests / 2));
        EXPECT_GT(found_.unknown.size(), 0u);
        EXPECT_EQ(verify(), "0");
        RecordProperty("redeemed", static_cast<int>(found_.redeemed.size()));
        RecordProperty("unknown", static_cast<int>(found_.unknown.size()));
        RecordProperty("not_made", static_cast<int>(found_.nothing_happened.size()));
        RecordProperty("asked_again", asked_again_);
        RecordProperty("replayed", replayed_);
        RecordProperty("transactions",
                       ask("SELECT count(DISTINCT xmin::text) FROM coupon_redemption"));
    }

    int replayed() const { return replayed_; }

  private:
    void make_one(group_client &coupons, const std::string &user, int turn) {
        redeem_options options;
        if (turn % 2)
            options.request_id = "a";
        try {
            const redemption got = coupons.redeem(user, turn % 3 ? "CAP" : "SAVE10", options);
            EXPECT_TRUE(got.redeemed());
            const std::lock_guard<std::mutex> lock{mutex_};
            EXPECT_TRUE(found_.redeemed.emplace(user, got.redemption_id.value()).second);
            replayed_ += got.replayed;
            asked_again_ += got.asked_again > 0;
        } catch (const outcome_unknown &) {
            EXPECT_FALSE(options.request_id) << "it could have been resolved";
            const std::lock_guard<std::mutex> lock{mutex_};
            found_.unknown.insert(user);
        } catch (const connection_error &) {
            const std::lock_guard<std::mutex> lock{mutex_};
            found_.nothing_happened.insert(user);
        }
    }

    std::mutex mutex_;
    tally found_;
    int replayed_ = 0, asked_again_ = 0;
    std::atomic<int> made_{0};
};

TEST_F(GroupStorm, ConnectionsAreCutAtEveryKindOfByte) {
    // What a connection begins with is some 400 bytes from the server and 100 to it; a group is
    // some hundreds more in each direction. The first one is to live long enough to be opened.
    const cutting_proxy proxy{server_socket(), [](int number) {
                                  const auto at = static_cast<std::size_t>(number);
                                  return number % 2 ? cutting_proxy::cut{false, 1 + at * 733 % 9001}
                                                    : cutting_proxy::cut{
                                                          true, 1 + (4000 + at * 379) % 9001};
                              }};
    storm(connection() + proxy.conninfo());
    judge();
    EXPECT_GT(proxy.cuts(), 50);
    EXPECT_GT(replayed(), 0) << "some were committed untold";
}

TEST_F(GroupStorm, BackendsAreKilled) {
    storm(connection() + " application_name=grouped", [&](int made) {
        if (made % 11 == 0)
            run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'grouped'");
    });
    judge();
}

} // namespace

} // namespace coupon_guard_tests
