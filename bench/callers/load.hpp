/// What the ways of asking have in common: how long callers ask, for whom, and what is counted.
#ifndef COUPON_GUARD_BENCH_CALLERS_LOAD_HPP
#define COUPON_GUARD_BENCH_CALLERS_LOAD_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace callers {

using clock = std::chrono::steady_clock;

/// So many callers ask for so long. What is answered in the warm-up is not measured, but redeemed
/// all the same.
struct load {
    int callers = 1;
    std::chrono::milliseconds warm_up{0};
    std::chrono::milliseconds measured{1000};
};

/// When callers ask, and which of their answers are measured: those that end in it.
class window {
  public:
    window(const load &wanted, clock::time_point start)
        : begin_{start + wanted.warm_up}
        , end_{begin_ + wanted.measured} {}

    bool has(clock::time_point moment) const noexcept { return begin_ <= moment && moment < end_; }
    bool is_over(clock::time_point moment) const noexcept { return moment >= end_; }

  private:
    clock::time_point begin_;
    clock::time_point end_;
};

/// What callers have been answered.
struct tally {
    std::uint64_t answers = 0;                        ///< warm-up included
    std::uint64_t redeemed = 0;                       ///< of these
    std::vector<std::chrono::microseconds> latencies; ///< of the answers that are measured

    void add(const window &open, clock::time_point asked, clock::time_point answered,
             bool is_redeemed);
    void add(const tally &other);
};

/// A request, for a user who comes once in a great while.
struct request {
    std::int64_t user;
    std::string code;
};

/// Makes up requests.
class request_source {
  public:
    /// For one code, or, if there are `coupons`, for one of the codes 1 to `coupons`.
    request_source(std::string code, int coupons);

    request next();

    /// The same with other users to come: for a thread of its own.
    request_source anew() const { return {code_, coupon_.max()}; }

  private:
    std::string code_;
    std::mt19937_64 random_;
    std::uniform_int_distribution<std::int64_t> user_{1, 1'000'000'000'000};
    std::uniform_int_distribution<int> coupon_;
};

/// Makes one request and waits for its answer: whether it was redeemed.
using asking = std::function<bool(const request &)>;

/// A thread for each caller, which waits for its answer before it asks again. `connect` is called
/// for one caller after the other, before the first of them asks. Rethrows what one of them threw.
tally ask_in_threads(const load &wanted, const request_source &source,
                     const std::function<asking()> &connect);

} // namespace callers

#endif
