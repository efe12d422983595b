/// Lets all runners go at once, round after round.
#ifndef COUPON_RACE_SCENARIO_STARTING_GATE_HPP
#define COUPON_RACE_SCENARIO_STARTING_GATE_HPP

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace coupon_race {

/// A barrier that can be called off. Any number of threads may ask it things.
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
    mutable std::mutex mutex_;
    std::condition_variable opened_;
    const int runners_;
    int waiting_ = 0;
    std::int64_t openings_ = 0;
    bool called_off_ = false;
};

} // namespace coupon_race

#endif
