#include "scenario/clients.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using coupon_race::starting_gate;

TEST(StartingGate, NobodyStartsARoundBeforeAllHaveEndedTheLast) {
    constexpr int runners = 4;
    constexpr int rounds = 200;
    starting_gate gate{runners};
    std::atomic<int> running{0};
    std::atomic<bool> apart{true};
    std::vector<std::thread> threads;
    for (int runner = 0; runner < runners; ++runner)
        threads.emplace_back([&] {
            for (int round = 1; round <= rounds; ++round) {
                gate.wait();
                const int started = ++running;
                if (started > round * runners || started <= (round - 1) * runners)
                    apart = false;
            }
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_TRUE(apart);
    EXPECT_EQ(gate.openings(), rounds);
}

TEST(StartingGate, CallingOffLetsEveryoneGoHome) {
    starting_gate gate{2};
    std::thread waiting{[&] { EXPECT_FALSE(gate.wait()); }};
    gate.call_off();
    waiting.join();
    EXPECT_FALSE(gate.wait());
    EXPECT_EQ(gate.openings(), 0);
}

} // namespace
