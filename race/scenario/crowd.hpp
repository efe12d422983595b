/// The threads of a race whose clients do not keep step.
#ifndef COUPON_RACE_SCENARIO_CROWD_HPP
#define COUPON_RACE_SCENARIO_CROWD_HPP

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <iterator>
#include <vector>

#include "os/interruption.hpp"

namespace coupon_race {

/// Room for what one client will probably log, so that hardly any has to move its log in the race.
inline std::size_t fair_share(std::int64_t attempts, int clients) {
    return static_cast<std::size_t>(2 * attempts / clients + 1);
}

/// Calls `work` (with the number of the client, and a flag that asks it to stop) on a thread for
/// each client, started with signals blocked and always joined; returns what all of them logged. If
/// one throws, the others are stopped, and the first exception is thrown. `progress` is called now
/// and then on the calling thread. Throws `interrupted`.
template <typename Entry>
std::vector<Entry>
run_crowd(int clients,
          const std::function<std::vector<Entry>(int, const std::atomic<bool> &)> &work,
          const std::function<void()> &progress) {
    std::atomic<bool> stop{false};
    std::vector<std::future<std::vector<Entry>>> logs;
    // Declared after them: on the way out it asks them to stop, then each future joins its thread.
    struct stopper {
        std::atomic<bool> &flag;
        ~stopper() { flag = true; }
    } const stop_on_exit{stop};
    {
        const signals_blocked none_for_threads;
        for (int client = 0; client < clients; ++client)
            logs.push_back(std::async(std::launch::async, [&work, &stop, client] {
                try {
                    return work(client, stop);
                } catch (...) {
                    stop = true;
                    throw;
                }
            }));
    }
    for (auto &log : logs)
        do {
            progress();
            throw_if_interrupted();
        } while (log.wait_for(std::chrono::milliseconds{100}) != std::future_status::ready);
    std::vector<Entry> all;
    for (auto &log : logs) {
        std::vector<Entry> part = log.get();
        all.insert(all.end(), std::make_move_iterator(part.begin()),
                   std::make_move_iterator(part.end()));
    }
    return all;
}

} // namespace coupon_race

#endif
