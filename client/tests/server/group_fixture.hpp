/// Callers of a group_client that are sure to be one group.
#ifndef COUPON_GUARD_TESTS_GROUP_FIXTURE_HPP
#define COUPON_GUARD_TESTS_GROUP_FIXTURE_HPP

#include <future>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include <coupon_guard/group_client.hpp>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

inline coupon_guard::group_client_options one_connection() {
    coupon_guard::group_client_options options;
    options.connections = 1;
    options.retry = {5, std::chrono::microseconds{100}, std::chrono::microseconds{1000}};
    return options;
}

/// The user `first` is held at a gate, alone on the only connection, until all the others wait.
/// Its own wait has no limit, and its commit waits for no standby.
class Group : public GuardedTest {
  protected:
    Group() {
        run("CREATE FUNCTION hold_up() RETURNS trigger LANGUAGE plpgsql SET lock_timeout = 0 AS"
            " $$ BEGIN PERFORM set_config('synchronous_commit', 'local', true);"
            " PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;"
            "CREATE TRIGGER hold_up BEFORE INSERT ON coupon_redemption FOR EACH ROW"
            " WHEN (NEW.user_id = 'first') EXECUTE FUNCTION hold_up()");
    }

    static void wait_for_waiting(const coupon_guard::group_client &coupons, int callers) {
        while (coupons.waiting() < static_cast<std::size_t>(callers))
            std::this_thread::yield(); // the test's own time limit ends it
    }

    /// Runs `one` with each number from 0, in threads, all in one group.
    template <typename Ask>
    auto in_one_group(coupon_guard::group_client &coupons, int callers, Ask one) {
        using answer = std::invoke_result_t<Ask, int>;
        closed_gate gate{connection()};
        auto first = std::async(std::launch::async, [&] { coupons.redeem("first", "SAVE10"); });
        wait_until_one_waits_at_the_gate();
        std::vector<std::future<answer>> answers;
        for (int number = 0; number < callers; ++number)
            answers.push_back(std::async(std::launch::async, one, number));
        wait_for_waiting(coupons, callers);
        gate.open();
        first.get();
        return answers;
    }

    /// The redemptions of this user fail.
    void fail_for(const std::string &user, const std::string &sqlstate, bool at_commit = false) {
        run("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'not this one' USING ERRCODE = '" +
            sqlstate + "'; END $$;" +
            (at_commit ? "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON coupon_redemption"
                         " DEFERRABLE INITIALLY DEFERRED"
                       : "CREATE TRIGGER fail BEFORE INSERT ON coupon_redemption") +
            std::string{" FOR EACH ROW WHEN (NEW.user_id = '"} + user +
            "') EXECUTE FUNCTION fail()");
    }

    std::string verify() { return ask("SELECT count(*) FROM coupon_guard_verify()"); }
};

} // namespace coupon_guard_tests

#endif
