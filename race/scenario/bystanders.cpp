#include "scenario/bystanders.hpp"

#include <exception>
#include <utility>

#include <pqxx/pqxx>

#include "os/interruption.hpp"

namespace coupon_race {

namespace {

constexpr std::chrono::milliseconds watch_interval{5};

std::thread started(void (*work)(void *), void *self) {
    const signals_blocked none_for_threads;
    return std::thread{work, self};
}

} // namespace

backend_killer::backend_killer(std::string connection)
    : connection_{std::move(connection)}
    , thread_{started([](void *self) { static_cast<backend_killer *>(self)->work(); }, this)} {}

backend_killer::~backend_killer() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    changed_.notify_all();
    thread_.join();
}

void backend_killer::kill(int backend) {
    {
        const std::lock_guard lock{mutex_};
        condemned_.push_back(backend);
    }
    changed_.notify_all();
}

/// One who cannot be killed goes on living: that changes the race, not its judgement.
void backend_killer::work() {
    try {
        pqxx::connection connection{connection_};
        pqxx::nontransaction transaction{connection};
        std::unique_lock lock{mutex_};
        for (;;) {
            changed_.wait(lock, [&] { return over_ || !condemned_.empty(); });
            if (over_)
                return;
            const int backend = condemned_.front();
            condemned_.pop_front();
            lock.unlock();
            // The number may have passed on to a stranger: only in our own database.
            transaction.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = " +
                             std::to_string(backend) + " AND datname = current_database()");
            lock.lock();
        }
    } catch (const std::exception &) {
    }
}

lock_watch::lock_watch(std::string connection)
    : connection_{std::move(connection)}
    , thread_{started([](void *self) { static_cast<lock_watch *>(self)->work(); }, this)} {}

lock_watch::~lock_watch() {
    stop();
}

std::chrono::nanoseconds lock_watch::stop() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable())
        thread_.join();
    return blocked_;
}

void lock_watch::work() {
    using clock = std::chrono::steady_clock;
    try {
        pqxx::connection connection{connection_};
        pqxx::nontransaction transaction{connection};
        auto looked = clock::now();
        std::unique_lock lock{mutex_};
        while (!changed_.wait_for(lock, watch_interval, [&] { return over_; })) {
            lock.unlock();
            const auto waiting = transaction
                                     .exec("SELECT count(*) FROM pg_stat_activity WHERE"
                                           " datname = current_database() AND"
                                           " wait_event_type = 'Lock'")[0][0]
                                     .as<std::int64_t>();
            const auto now = clock::now();
            blocked_ += waiting * (now - looked);
            looked = now;
            lock.lock();
        }
    } catch (const std::exception &) {
    }
}

sweeper::sweeper(std::string connection, std::string statement, std::chrono::milliseconds interval)
    : connection_{std::move(connection)}
    , statement_{std::move(statement)}
    , interval_{interval} {
    if (!statement_.empty())
        thread_ = started([](void *self) { static_cast<sweeper *>(self)->work(); }, this);
}

sweeper::~sweeper() {
    {
        const std::lock_guard lock{mutex_};
        over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable())
        thread_.join();
}

/// A job that fails is gone, as many a shop's is; what it leaves undone the ledger will show.
void sweeper::work() {
    try {
        pqxx::connection connection{connection_};
        pqxx::nontransaction transaction{connection};
        std::unique_lock lock{mutex_};
        while (!changed_.wait_for(lock, interval_, [&] { return over_; })) {
            lock.unlock();
            transaction.exec(statement_);
            lock.lock();
        }
    } catch (const std::exception &) {
    }
}

} // namespace coupon_race
