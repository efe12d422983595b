#include "scenario/bystander.hpp"

#include <exception>
#include <utility>

#include <pqxx/pqxx>

#include "os/interruption.hpp"
#include "sql_quoting.hpp"

namespace coupon_race {

bystander::bystander(std::string connection, std::chrono::milliseconds interval, job work)
    : connection_{std::move(connection)}
    , interval_{interval}
    , work_{std::move(work)} {
    const signals_blocked none_for_threads;
    thread_ = std::thread{[this] { run(); }};
}

void bystander::wake() {
    {
        const std::lock_guard lock{mutex_};
        awake_ = true;
    }
    changed_.notify_all();
}

void bystander::stop() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable())
        thread_.join();
}

void bystander::run() {
    try {
        pqxx::connection connection{connection_};
        pqxx::nontransaction transaction{connection};
        std::unique_lock lock{mutex_};
        for (;;) {
            changed_.wait_for(lock, interval_, [&] { return over_ || awake_; });
            if (over_)
                return;
            awake_ = false;
            lock.unlock();
            work_(transaction);
            lock.lock();
        }
    } catch (const std::exception &) {
    }
}

backend_killer::backend_killer(const std::string &connection)
    : killing_{connection, std::chrono::hours{1}, [this](auto &transaction) {
                   std::vector<std::string> doomed;
                   {
                       const std::lock_guard lock{mutex_};
                       doomed.swap(condemned_);
                   }
                   // A number may have passed on to a stranger: only in our own database.
                   for (const std::string &which : doomed)
                       transaction.exec("SELECT pg_terminate_backend(pid) FROM (SELECT pid"
                                        " FROM pg_stat_activity"
                                        " WHERE datname = current_database() AND " +
                                        which + " LIMIT 1) AS one");
               }} {}

void backend_killer::kill(int backend) {
    condemn("pid = " + std::to_string(backend));
}

void backend_killer::kill_one_of(const std::string &application_name) {
    condemn("application_name = " + coupon_guard::quote_literal(application_name) +
            " ORDER BY state = 'active' DESC, random()");
}

void backend_killer::condemn(std::string which) {
    {
        const std::lock_guard lock{mutex_};
        condemned_.push_back(std::move(which));
    }
    killing_.wake();
}

} // namespace coupon_race
