#include "test_server.hpp"

#include <chrono>
#include <thread>

#include "place/throwaway_server.hpp"

namespace coupon_guard_tests {

namespace {

using namespace std::chrono_literals;

/// Gone before main() returns, not in the disorder after it.
class server_environment : public testing::Environment {
  public:
    void SetUp() override {
        coupon_race::forget_libpq_environment();
        server_ = std::make_unique<coupon_race::throwaway_server>(
            coupon_race::find_postgres_programs({}), 50,
            std::vector<std::string>{"fsync=off", "deadlock_timeout=100ms"});
        // So that its absence is said once and plainly, not by every test in its own way.
        run_sql(coupon_race::format_conninfo(server_->connection()),
                "CREATE EXTENSION coupon_guard; DROP EXTENSION coupon_guard");
    }
    void TearDown() override { server_.reset(); }

    coupon_race::throwaway_server &server() { return *server_; }

  private:
    std::unique_ptr<coupon_race::throwaway_server> server_;
};

auto *const environment =
    static_cast<server_environment *>(testing::AddGlobalTestEnvironment(new server_environment));

} // namespace

coupon_race::throwaway_server &test_server() {
    return environment->server();
}

void run_sql(const std::string &connection, const std::string &statements) {
    pqxx::connection database{connection};
    pqxx::nontransaction transaction{database};
    transaction.exec(statements);
}

std::string query(const std::string &connection, const std::string &statement) {
    pqxx::connection database{connection};
    pqxx::nontransaction transaction{database};
    const pqxx::result rows = transaction.exec(statement);
    if (rows.empty())
        return "(no row)";
    return rows[0][0].is_null() ? "(null)" : rows[0][0].as<std::string>();
}

void wait_until(const std::string &connection, const std::string &condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (query(connection, condition) != "t") {
        ASSERT_LT(std::chrono::steady_clock::now(), deadline) << condition;
        std::this_thread::sleep_for(5ms);
    }
}

} // namespace coupon_guard_tests
