/// Waiting for other transactions, for a turn, for an end: who waits, and who does not.

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "group_fixture.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using namespace std::chrono_literals;

/// A transaction that has redeemed, and is open.
class open_rival {
  public:
    open_rival(const std::string &connection, const user_id &user, const std::string &code)
        : connection_{connection}
        , transaction_{connection_} {
        EXPECT_TRUE(redeem(transaction_, user, code).redeemed());
    }
    void commit() { transaction_.commit(); }
    void abort() { transaction_.abort(); }

  private:
    pqxx::connection connection_;
    pqxx::work transaction_;
};

not_sent::reason reason_of(std::future<redemption> &answer) {
    try {
        answer.get();
    } catch (const not_sent &caught) {
        return caught.why();
    }
    throw std::logic_error{"it was sent"};
}

bool is_ready(const std::future<redemption> &answer) {
    return answer.wait_for(0s) == std::future_status::ready;
}

class GroupWait : public Group {
  protected:
    /// Number 1 of five has a rival; the others have their answers before the rival ends.
    redemption answer_of_the_one_with_a_rival(bool rival_commits) {
        open_rival rival{connection(), 1, "SAVE10"};
        group_client coupons{connection(), one_connection()};
        auto answers =
            in_one_group(coupons, 5, [&](int number) { return coupons.redeem(number, "SAVE10"); });
        for (int number : {0, 2, 3, 4})
            EXPECT_TRUE(answers[static_cast<std::size_t>(number)].get().redeemed());
        EXPECT_FALSE(is_ready(answers[1]));
        rival_commits ? rival.commit() : rival.abort();
        const redemption got = answers[1].get();
        EXPECT_EQ(rows_of("1"), "1");
        EXPECT_EQ(verify(), "0");
        return got;
    }

    void wait_until_one_waits_for_a_rival() {
        wait_until(connection(),
                   "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid'"
                   " AND NOT granted)");
    }
};

TEST_F(GroupWait, OneThatWaitsForItsRivalDoesNotHoldUpTheOthers) {
    EXPECT_EQ(answer_of_the_one_with_a_rival(true).status, status::already_redeemed);
}

TEST_F(GroupWait, AndIsRedeemedWhenTheRivalRollsBack) {
    EXPECT_TRUE(answer_of_the_one_with_a_rival(false).redeemed());
}

TEST_F(GroupWait, OneThatWaitsAloneDoesNotKeepTheConnection) {
    open_rival rival{connection(), 1, "SAVE10"};
    group_client coupons{connection(), one_connection()};
    auto waits = std::async(std::launch::async, [&] { return coupons.redeem(1, "SAVE10"); });
    wait_until_one_waits_for_a_rival();
    EXPECT_TRUE(coupons.redeem(2, "SAVE10").redeemed());
    rival.abort();
    EXPECT_TRUE(waits.get().redeemed());
}

TEST_F(GroupWait, TheLastUnitIsNotSaidToBeSoldOutWhileItMayComeBack) {
    run("INSERT INTO coupon (code, max_redemptions) VALUES ('ONE', 1)");
    open_rival rival{connection(), 100, "ONE"};
    group_client coupons{connection(), one_connection()};
    auto answers = in_one_group(coupons, 4, [&](int number) {
        return coupons.redeem(number, number < 2 ? "ONE" : "SAVE10");
    });
    EXPECT_TRUE(answers[2].get().redeemed());
    EXPECT_TRUE(answers[3].get().redeemed());
    EXPECT_FALSE(is_ready(answers[0]));
    EXPECT_FALSE(is_ready(answers[1]));
    rival.abort();
    const int redeemed = answers[0].get().redeemed() + answers[1].get().redeemed();
    EXPECT_EQ(redeemed, 1);
    EXPECT_EQ(verify(), "0");
}

TEST_F(GroupWait, RivalsAreWaitedForUntilTheTimeLimit) {
    open_rival rival{connection(), 1, "SAVE10"};
    open_rival other_rival{connection(), 2, "SAVE10"};
    group_client_options options = one_connection();
    options.connections_apart = 1; // one of them does not even get that
    options.time_limit = 300ms;
    group_client coupons{connection(), options};
    auto ask_for = [&](std::int64_t user) {
        return std::async(std::launch::async, [&coupons, user] {
            try {
                coupons.redeem(user, "SAVE10");
                return std::string{"an answer"};
            } catch (const gave_up_waiting &caught) {
                return caught.sqlstate();
            }
        });
    };
    auto first = ask_for(1), second = ask_for(2);
    EXPECT_EQ(first.get(), "55P03");
    EXPECT_EQ(second.get(), "55P03");
    EXPECT_TRUE(coupons.redeem(3, "SAVE10").redeemed());
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "1");
}

TEST_F(GroupWait, TheSessionsLockTimeoutEndsTheWaitIfItIsShorter) {
    open_rival rival{connection(), 1, "SAVE10"};
    group_client coupons{connection() + " options='-c lock_timeout=20'", one_connection()};
    EXPECT_THROW(coupons.redeem(1, "SAVE10"), gave_up_waiting);
}

TEST_F(GroupWait, ThoseWhoBuyTheLastUnitsInSeveralGroupsAllGetAnAnswer) {
    constexpr int coupon_count = 12, buyers = 12, units = 60;
    run("INSERT INTO coupon (code, max_redemptions) SELECT 'CAP' || i, " + std::to_string(units) +
        " FROM generate_series(1, " + std::to_string(coupon_count) + ") AS i");
    std::atomic<int> redeemed{0}, refused{0};
    {
        group_client here{connection()}, there{connection()};
        std::vector<std::thread> threads;
        for (int buyer = 0; buyer < buyers; ++buyer)
            threads.emplace_back([&, buyer] {
                for (int coupon = 1; coupon <= coupon_count; ++coupon)
                    for (int turn = 0; turn < 2 * units / buyers; ++turn) {
                        group_client &coupons = (buyer + turn) % 2 ? here : there;
                        const redemption got =
                            coupons.redeem(turn * buyers + buyer, "CAP" + std::to_string(coupon));
                        ++(got.redeemed() ? redeemed : refused);
                        EXPECT_TRUE(got.redeemed() || got.status == status::sold_out);
                    }
            });
        for (std::thread &each : threads)
            each.join();
    }
    EXPECT_EQ(redeemed, coupon_count * units);
    EXPECT_EQ(refused, coupon_count * units);
    EXPECT_EQ(verify(), "0");
}

// --- a turn
// -----------------------------------------------------------------------------------------

TEST_F(GroupWait, ATurnIsWaitedForUntilTheTimeLimitAndNothingIsSent) {
    group_client_options options = one_connection();
    options.patience = 60s;
    group_client coupons{connection(), options};
    closed_gate gate{connection()};
    auto first = std::async(std::launch::async, [&] { return coupons.redeem("first", "SAVE10"); });
    wait_until_one_waits_at_the_gate();
    options.time_limit = 1ms;
    group_client impatient{connection(), options};
    auto also_first =
        std::async(std::launch::async, [&] { return impatient.redeem("first", "SAVE10"); });
    wait_until(connection(), "SELECT count(*) = 2 FROM pg_locks WHERE NOT granted");
    auto late = std::async(std::launch::async, [&] { return impatient.redeem(2, "SAVE10"); });
    EXPECT_EQ(reason_of(late), not_sent::reason::time_limit);
    gate.open();
    first.get();
    also_first.get();
    EXPECT_EQ(rows_of("2"), "0");
}

TEST_F(GroupWait, AFullQueueRefusesOrHasCallersWait) {
    for (const bool waits : {false, true}) {
        run("DELETE FROM coupon_redemption");
        group_client_options options = one_connection();
        options.queue_length = 2;
        options.waits_when_full = waits;
        group_client coupons{connection(), options};
        closed_gate gate{connection()};
        auto first =
            std::async(std::launch::async, [&] { return coupons.redeem("first", "SAVE10"); });
        wait_until_one_waits_at_the_gate();
        auto second = coupons.redeem_later(2, "SAVE10"), third = coupons.redeem_later(3, "SAVE10");
        auto beyond = coupons.redeem_later(4, "SAVE10");
        EXPECT_EQ(reason_of(beyond), not_sent::reason::queue_full);
        auto caller = std::async(std::launch::async, [&] { return coupons.redeem(5, "SAVE10"); });
        if (waits)
            wait_for_waiting(coupons, 3);
        else
            EXPECT_EQ(reason_of(caller), not_sent::reason::queue_full);
        gate.open();
        for (auto *each : {&first, &second, &third})
            EXPECT_TRUE(each->get().redeemed());
        if (waits) {
            EXPECT_TRUE(caller.get().redeemed());
        }
        EXPECT_EQ(rows_of("4"), "0");
    }
}

// --- an end
// -----------------------------------------------------------------------------------------

TEST_F(GroupWait, ClosedItAnswersWhatWasSentAndNothingElse) {
    auto coupons = std::make_unique<group_client>(connection(), one_connection());
    closed_gate gate{connection()};
    auto first = std::async(std::launch::async, [&] { return coupons->redeem("first", "SAVE10"); });
    wait_until_one_waits_at_the_gate();
    auto caller = std::async(std::launch::async, [&] { return coupons->redeem(2, "SAVE10"); });
    auto future = coupons->redeem_later(3, "SAVE10");
    wait_for_waiting(*coupons, 2);
    auto closing = std::async(std::launch::async, [&] { coupons->close(); });
    EXPECT_EQ(reason_of(caller), not_sent::reason::closed);
    EXPECT_EQ(reason_of(future), not_sent::reason::closed);
    EXPECT_THROW(coupons->redeem(4, "SAVE10"), not_sent);
    EXPECT_THROW(coupons->redeem_later(4, "SAVE10").get(), not_sent);
    EXPECT_FALSE(is_ready(first));
    gate.open();
    EXPECT_TRUE(first.get().redeemed());
    closing.get();
    coupons.reset();
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "1");
}

TEST_F(GroupWait, DestroyedItWaitsForWhoWaitsForARival) {
    open_rival rival{connection(), 1, "SAVE10"};
    auto coupons = std::make_unique<group_client>(connection() + " application_name=grouped",
                                                  one_connection());
    auto future = coupons->redeem_later(1, "SAVE10");
    wait_until(connection(), "SELECT count(*) = 2 FROM pg_stat_activity"
                             " WHERE application_name = 'grouped'"); // it has one of its own
    wait_until_one_waits_for_a_rival();
    auto destroying = std::async(std::launch::async, [&] { coupons.reset(); });
    EXPECT_FALSE(is_ready(future));
    rival.abort();
    EXPECT_TRUE(future.get().redeemed());
    destroying.get();
}

// --- futures
// ----------------------------------------------------------------------------------------

TEST_F(GroupWait, FuturesOfOneThreadAreOneGroupAndWakeItOnce) {
    std::atomic<int> woken{0};
    group_client_options options = one_connection();
    options.when_ready = [&] { ++woken; };
    auto destroyed = std::make_unique<group_client>(connection(), options);
    group_client &coupons = *destroyed;
    closed_gate gate{connection()};
    auto first = std::async(std::launch::async, [&] { coupons.redeem("first", "SAVE10"); });
    wait_until_one_waits_at_the_gate();
    std::vector<std::future<redemption>> answers;
    for (int user = 0; user < 50; ++user)
        answers.push_back(coupons.redeem_later(user, "SAVE10"));
    coupons.redeem_later(50, "SAVE10"); // dropped, and made all the same
    gate.open();
    first.get();
    for (int user = 0; user < 50; ++user) {
        const redemption got = answers[static_cast<std::size_t>(user)].get();
        EXPECT_TRUE(got.redeemed());
        EXPECT_EQ(ask("SELECT user_id FROM coupon_redemption WHERE id = " +
                      std::to_string(got.redemption_id.value())),
                  std::to_string(user));
    }
    destroyed.reset(); // it has called all that it calls
    EXPECT_EQ(woken, 1);
    EXPECT_EQ(ask("SELECT count(*) || ',' || count(DISTINCT xmin::text) FROM coupon_redemption"
                  " WHERE user_id <> 'first'"),
              "51,1");
}

TEST_F(GroupWait, FuturesOfEveryKind) {
    group_client coupons{connection()};
    hold_options options;
    options.ttl = 10min;
    const redemption held = coupons.hold_later(1, "SAVE10", options).get();
    ASSERT_TRUE(held.held());
    EXPECT_TRUE(coupons.confirm_later(held.redemption_id.value()).get().redeemed());
    EXPECT_TRUE(coupons.void_redemption_later(held.redemption_id.value(), "why").get());
    EXPECT_TRUE(coupons.redeem_coupons_later(2, {"SAVE10"}).get().redeemed());
    EXPECT_EQ(coupons.redeem_later(2, "SAVE10").get().status, status::already_redeemed);
    EXPECT_EQ(coupons.claim_later(2, "none").get().status, status::not_found);
    EXPECT_EQ(coupons.release_claim_later(2, "none").get().status, status::not_found);
}

TEST_F(GroupWait, AFutureThatWaitsForItsRivalDoesNotHoldUpTheOthers) {
    open_rival rival{connection(), 1, "SAVE10"};
    std::atomic<int> woken{0};
    group_client_options options = one_connection();
    options.when_ready = [&] { ++woken; };
    auto destroyed = std::make_unique<group_client>(connection(), options);
    group_client &coupons = *destroyed;
    auto waits = coupons.redeem_later(1, "SAVE10");
    EXPECT_TRUE(coupons.redeem_later(2, "SAVE10").get().redeemed());
    EXPECT_FALSE(is_ready(waits));
    rival.commit();
    EXPECT_EQ(waits.get().status, status::already_redeemed);
    destroyed.reset(); // it has called all that it calls
    EXPECT_GE(woken, 2);
}

} // namespace

} // namespace coupon_guard_tests
