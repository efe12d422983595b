/// Who takes no part in a race but has a connection to its database: one who kills backends, one
/// who watches how long others wait, and one who sweeps up.
#ifndef COUPON_RACE_SCENARIO_BYSTANDERS_HPP
#define COUPON_RACE_SCENARIO_BYSTANDERS_HPP

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace coupon_race {

/// The most connections that bystanders take up in a race.
inline constexpr int bystanders = 2;

/// Terminates backends of the race's own database, soon but not at once: whoever asked for it goes
/// on meanwhile.
class backend_killer {
  public:
    explicit backend_killer(std::string connection);
    ~backend_killer();
    backend_killer(const backend_killer &) = delete;
    backend_killer &operator=(const backend_killer &) = delete;

    void kill(int backend);

  private:
    void work();

    std::string connection_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<int> condemned_;
    bool over_ = false;
    std::thread thread_;
};

/// Adds up the time that the backends of the race's database wait for locks, by looking at all of
/// them every few milliseconds: an estimate whose mean is the truth.
class lock_watch {
  public:
    explicit lock_watch(std::string connection);
    ~lock_watch();
    lock_watch(const lock_watch &) = delete;
    lock_watch &operator=(const lock_watch &) = delete;

    /// Ends the watch; the total over all backends.
    std::chrono::nanoseconds stop();

  private:
    void work();

    std::string connection_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::chrono::nanoseconds blocked_{0};
    std::thread thread_;
};

/// Runs a statement at intervals, as a shop's own job would; nothing if it is empty.
class sweeper {
  public:
    sweeper(std::string connection, std::string statement, std::chrono::milliseconds interval);
    ~sweeper();
    sweeper(const sweeper &) = delete;
    sweeper &operator=(const sweeper &) = delete;

  private:
    void work();

    std::string connection_;
    std::string statement_;
    std::chrono::milliseconds interval_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool over_ = false;
    std::thread thread_;
};

} // namespace coupon_race

#endif
