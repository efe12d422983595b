/// The clients of a race: a thread each, let go at once.
#ifndef COUPON_RACE_SCENARIO_CROWD_HPP
#define COUPON_RACE_SCENARIO_CROWD_HPP

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

#include "race_log.hpp"

namespace coupon_race {

/// A barrier that can be called off. Any number of threads may ask it things.
///
/// It works twice. First the runners sleep until the last one has come; but sleepers wake one after
/// the other, and a request takes little longer than that. So those who are awake wait, spinning,
/// for those who are not yet: without it the first was often through before the second had begun.
class starting_gate {
  public:
    explicit starting_gate(int runners)
        : runners_{runners} {}

    /// Waits until all runners wait here, then lets all of them go: true. Once the race is called
    /// off it waits for nobody: false.
    bool wait();

    void call_off();
    bool called_off() const { return called_off_; }

    /// How often it has opened.
    std::int64_t openings() const;

  private:
    bool sleep_until_all_are_here();
    bool spin_until_all_are_awake();

    mutable std::mutex mutex_;
    std::condition_variable opened_;
    const int runners_;
    int waiting_ = 0;
    std::int64_t openings_ = 0;
    std::atomic<std::int64_t> awakened_{0}; ///< runners that were awake, over all rounds
    std::atomic<bool> called_off_{false};
};

/// Calls `work` (with the number of the client, and the gate) on a thread for each client, started
/// with signals blocked and always joined; returns what all of them logged. If one throws, the race
/// is called off, and what it threw is thrown. `progress` is called now and then on the calling
/// thread. Throws `interrupted`.
race_log run_crowd(int clients, const std::function<race_log(int, starting_gate &)> &work,
                   const std::function<void(const starting_gate &)> &progress);

} // namespace coupon_race

#endif
