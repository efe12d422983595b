/// A server for the tests of one program: started with the first test, removed after the last.
#ifndef COUPON_GUARD_TESTS_TEST_SERVER_HPP
#define COUPON_GUARD_TESTS_TEST_SERVER_HPP

#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "place/race_database.hpp"
#include "place/throwaway_server.hpp"

namespace coupon_guard_tests {

/// The extension must be installed in the server that pg_config names: make install.
coupon_race::throwaway_server &test_server();

/// Runs statements in a connection of their own, each committing by itself.
void run_sql(const std::string &connection, const std::string &statements);

/// The first column of the first row.
std::string query(const std::string &connection, const std::string &statement);

/// Waits until the query says `t`; fails the test after 20 seconds.
void wait_until(const std::string &connection, const std::string &condition);

/// A test with a database of its own.
class DatabaseTest : public testing::Test {
  protected:
    DatabaseTest()
        : database_{test_server().connection()} {}

    std::string connection() const { return database_.connection(); }
    void run(const std::string &statements) { run_sql(connection(), statements); }
    std::string ask(const std::string &statement) { return query(connection(), statement); }

  private:
    coupon_race::race_database database_;
};

} // namespace coupon_guard_tests

#endif
