/// A word to sleep on: nobody sleeps through a change.

#include "wait_word.hpp"

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;

template <typename Word>
class WaitWord : public testing::Test {
  protected:
    using clock = typename Word::clock;
    Word word;
};

using words = testing::Types<coupon_guard::wait_word, coupon_guard::portable_wait_word>;
TYPED_TEST_SUITE(WaitWord, words);

TYPED_TEST(WaitWord, OneThatHasChangedIsNotSleptOn) {
    const auto seen = this->word.get();
    this->word.add(2);
    this->word.sleep(seen);
    this->word.sleep_until(seen, TestFixture::clock::now() + 1h);
    EXPECT_EQ(this->word.get(), seen + 2);
}

TYPED_TEST(WaitWord, ADeadlineEndsTheSleepAndNotBefore) {
    const auto deadline = TestFixture::clock::now() + 2ms;
    while (TestFixture::clock::now() < deadline)
        this->word.sleep_until(this->word.get(), deadline);
    this->word.sleep_until(this->word.get(), TestFixture::clock::now() - 1h);
}

TYPED_TEST(WaitWord, AllSleepersAreWokenByOneCall) {
    std::vector<std::thread> sleepers;
    for (int number = 0; number < 8; ++number)
        sleepers.emplace_back([&] {
            while (this->word.get() == 0)
                this->word.sleep(0);
        });
    this->word.add(1);
    this->word.wake_all();
    for (std::thread &each : sleepers)
        each.join();
}

/// Two threads in turn: a change that one of them slept through would hang the test.
TYPED_TEST(WaitWord, NobodySleepsThroughAChange) {
    constexpr unsigned turns = 2000;
    const auto take_turns = [&](unsigned mine) {
        for (auto value = this->word.get(); value < turns; value = this->word.get()) {
            if (value % 2 == mine) {
                this->word.add(1);
                this->word.wake_one();
            } else if (value % 5 == 0) {
                this->word.sleep_until(value, TestFixture::clock::now() + 1h);
            } else {
                this->word.sleep(value);
            }
        }
    };
    std::thread other{take_turns, 1};
    take_turns(0);
    other.join();
}

} // namespace
