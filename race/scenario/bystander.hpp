/// Who takes no part in a race but has a connection to its database: the watch over locks, the
/// sweeper, the killer of backends.
#ifndef COUPON_RACE_SCENARIO_BYSTANDER_HPP
#define COUPON_RACE_SCENARIO_BYSTANDER_HPP

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <pqxx/nontransaction>

namespace coupon_race {

/// The most connections that bystanders take up in a race.
inline constexpr int most_bystanders = 2;

/// A thread that works at intervals until it is stopped. One that fails is gone, as many a shop's
/// job is: that changes the race, not its judgement.
class bystander {
  public:
    using job = std::function<void(pqxx::nontransaction &)>;

    bystander(std::string connection, std::chrono::milliseconds interval, job work);
    ~bystander() { stop(); }
    bystander(const bystander &) = delete;
    bystander &operator=(const bystander &) = delete;

    /// To work now, not when the interval is over.
    void wake();
    /// Returns when it has ended.
    void stop();

  private:
    void run();

    const std::string connection_;
    const std::chrono::milliseconds interval_;
    const job work_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool awake_ = false;
    bool over_ = false;
    std::thread thread_; // the last: it uses all of the above
};

/// Terminates backends of the race's own database, soon but not at once: whoever asked for it goes
/// on meanwhile.
class backend_killer {
  public:
    explicit backend_killer(const std::string &connection);

    void kill(int backend);
    /// One of several, by their application_name: one that is at work, if any is.
    void kill_one_of(const std::string &application_name);

  private:
    /// What comes after WHERE, to pick one from pg_stat_activity.
    void condemn(std::string which);

    std::mutex mutex_;
    std::vector<std::string> condemned_;
    bystander killing_;
};

} // namespace coupon_race

#endif
