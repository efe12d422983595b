/// Lets all runners go at once, round after round.
#ifndef COUPON_RACE_SCENARIO_STARTING_GATE_HPP
#define COUPON_RACE_SCENARIO_STARTING_GATE_HPP

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

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

} // namespace coupon_race

#endif
