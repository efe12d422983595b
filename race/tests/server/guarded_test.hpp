/// A database with the extension and a few coupons.
#ifndef COUPON_GUARD_TESTS_GUARDED_TEST_HPP
#define COUPON_GUARD_TESTS_GUARDED_TEST_HPP

#include <string>

#include "test_server.hpp"

namespace coupon_guard_tests {

class GuardedTest : public DatabaseTest {
  protected:
    GuardedTest() {
        run("CREATE EXTENSION coupon_guard");
        run(R"(INSERT INTO coupon (code, terms) VALUES ('SAVE10', '{"percent": 10}'))");
    }

    std::string rows_of(const std::string &user) {
        return ask("SELECT count(*) FROM coupon_redemption WHERE user_id = '" + user + "'");
    }

    /// Every redemption waits, between its decision and its row, until `gate` can be locked.
    void put_gate_before_each_redemption(const std::string &before_the_gate = "") {
        run(R"(CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN )" +
            before_the_gate + R"(
                   PERFORM pg_advisory_xact_lock_shared(1);
                   RETURN NEW;
               END $$;
               CREATE TRIGGER gate BEFORE INSERT ON coupon_redemption
                   FOR EACH ROW EXECUTE FUNCTION wait_at_gate())");
    }

    void wait_until_one_waits_at_the_gate() {
        wait_until(connection(), "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory'"
                                 " AND NOT granted)");
    }
};

/// Keeps the gate closed while it exists.
class closed_gate {
  public:
    explicit closed_gate(const std::string &connection)
        : connection_{connection}
        , transaction_{connection_} {
        transaction_.exec("SELECT pg_advisory_lock(1)");
    }
    void open() { transaction_.exec("SELECT pg_advisory_unlock(1)"); }

  private:
    pqxx::connection connection_;
    pqxx::nontransaction transaction_;
};

} // namespace coupon_guard_tests

#endif
