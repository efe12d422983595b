/// What a race over shards does to servers and to the network between them.

#include <chrono>
#include <future>
#include <string>

#include <gtest/gtest.h>
#include <pqxx/pqxx>

#include "os/cutting_proxy.hpp"
#include "place/throwaway_server.hpp"
#include "test_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

std::string socket_of(const throwaway_server &server) {
    const conninfo address = server.connection();
    return address.at("host") + "/.s.PGSQL." + address.at("port");
}

class Network : public DatabaseTest {
  protected:
    Network()
        : proxy_{socket_of(test_server())} {}

    std::string through() const { return connection() + proxy_.conninfo(); }

    cutting_proxy proxy_;
};

std::string one(pqxx::connection &connection) {
    return pqxx::nontransaction{connection}.exec("SELECT 1")[0][0].as<std::string>();
}

TEST_F(Network, ResetBreaksTheConnectionsThatThereAreAndNoOther) {
    pqxx::connection first{through()};
    pqxx::connection second{through()};
    pqxx::connection direct{connection()};
    EXPECT_EQ(one(first) + one(second), "11");
    proxy_.reset_all();
    wait_until(connection(), "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname ="
                             " current_database() AND pid <> pg_backend_pid()");
    EXPECT_THROW(one(first), pqxx::broken_connection);
    EXPECT_THROW(one(second), pqxx::broken_connection);
    EXPECT_EQ(one(direct), "1");
    pqxx::connection third{through()};
    EXPECT_EQ(one(third), "1");
}

TEST_F(Network, WhatIsHeldArrivesWhenItIsReleased) {
    run("CREATE TABLE arrived (number int)");
    pqxx::connection sender{through()};
    one(sender);
    proxy_.hold_for(1h);
    auto sent = std::async(std::launch::async, [&] {
        pqxx::nontransaction{sender}.exec("INSERT INTO arrived VALUES (1)");
    });
    EXPECT_EQ(sent.wait_for(300ms), std::future_status::timeout);
    EXPECT_EQ(ask("SELECT count(*) FROM arrived"), "0");
    proxy_.release();
    sent.get();
    EXPECT_EQ(ask("SELECT count(*) FROM arrived"), "1");
}

TEST_F(Network, WhatIsResetWhileItIsHeldNeverArrives) {
    run("CREATE TABLE arrived (number int)");
    pqxx::connection sender{through()};
    one(sender);
    proxy_.hold_for(1h);
    auto sent = std::async(std::launch::async, [&] {
        pqxx::nontransaction{sender}.exec("INSERT INTO arrived VALUES (1)");
    });
    EXPECT_EQ(sent.wait_for(300ms), std::future_status::timeout);
    proxy_.reset_all();
    EXPECT_THROW(sent.get(), pqxx::broken_connection);
    proxy_.release();
    pqxx::connection next{through()};
    EXPECT_EQ(one(next), "1");
    EXPECT_EQ(ask("SELECT count(*) FROM arrived"), "0");
}

TEST(ThrowawayServer, HasAfterACrashWhatWasCommitted) {
    throwaway_server server{find_postgres_programs({}), 10};
    const std::string address = format_conninfo(server.connection());
    const cutting_proxy proxy{socket_of(server)};
    run_sql(address, "CREATE TABLE kept (number int)");
    run_sql(address, "INSERT INTO kept VALUES (1)");
    pqxx::connection open{address};
    one(open);
    const pid_t before = server.pid();
    server.crash();
    EXPECT_THROW(one(open), pqxx::broken_connection);
    EXPECT_THROW(pqxx::connection{address + proxy.conninfo()}, pqxx::broken_connection)
        << "the network is there, and nobody at its end";
    server.start_again();
    EXPECT_NE(server.pid(), before);
    EXPECT_EQ(query(address, "SELECT count(*) FROM kept"), "1");
    EXPECT_EQ(query(address + proxy.conninfo(), "SELECT count(*) FROM kept"), "1");
}

TEST(ThrowawayServer, StartedAgainKeepsNoConnectionOpenThatOthersClose) {
    throwaway_server server{find_postgres_programs({}), 10};
    cutting_proxy proxy{socket_of(test_server())};
    const std::string through = format_conninfo(test_server().connection()) + proxy.conninfo();
    pqxx::connection elsewhere{through};
    one(elsewhere);
    server.crash();
    server.start_again();
    proxy.reset_all();
    EXPECT_THROW(one(elsewhere), pqxx::broken_connection);
}

} // namespace

} // namespace coupon_guard_tests
