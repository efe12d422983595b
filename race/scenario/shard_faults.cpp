#include "scenario/shard_faults.hpp"

#include <algorithm>

namespace coupon_race {

namespace {

using namespace std::chrono_literals;

constexpr auto longest_downtime = 500ms;
constexpr auto longest_hold = 500ms;

} // namespace

shard_faults::shard_faults(shard_cluster &shards, intervals often, std::uint64_t seed)
    : shards_{shards}
    , often_{often}
    , random_{seed}
    , next_crash_{race_clock::now() + often.crash}
    , next_cut_{race_clock::now() + often.cut} {}

void shard_faults::go_on() {
    const auto now = race_clock::now();
    if (down_ && now >= down_->until)
        start_again();
    else if (!down_ && often_.crash.count() > 0 && now >= next_crash_)
        crash_one(now);
    if (held_ && now >= held_->until)
        mend();
    else if (!held_ && often_.cut.count() > 0 && now >= next_cut_)
        cut_one(now);
}

void shard_faults::end() {
    if (down_)
        start_again();
    if (held_)
        mend();
}

void shard_faults::crash_one(race_clock::time_point now) {
    down_ = misfortune{one_of_the_shards(), now + up_to(longest_downtime)};
    next_crash_ = now + often_.crash;
    ++crashes_;
    shards_.server(down_->shard).crash();
}

void shard_faults::start_again() {
    const int shard = down_->shard;
    down_.reset(); // it is tried once
    shards_.server(shard).start_again();
    next_crash_ = std::max(next_crash_, race_clock::now() + often_.crash / 2);
}

/// Half of the cuts are felt at once, by a reset; the others are a silence first.
void shard_faults::cut_one(race_clock::time_point now) {
    const int shard = one_of_the_shards();
    const auto draw = random_() % 4;
    next_cut_ = now + often_.cut;
    ++cuts_;
    if (draw < 2) {
        shards_.network(shard).reset_all();
        return;
    }
    const auto time = up_to(longest_hold);
    held_ = misfortune{shard, now + time, draw == 2};
    shards_.network(shard).hold_for(2 *
                                    time); // and not for ever, should this thread be interrupted
}

void shard_faults::mend() {
    cutting_proxy &network = shards_.network(held_->shard);
    if (held_->ends_by_reset)
        network.reset_all();
    network.release();
    held_.reset();
    next_cut_ = std::max(next_cut_, race_clock::now() + often_.cut / 2);
}

int shard_faults::one_of_the_shards() {
    return static_cast<int>(random_() % static_cast<std::uint64_t>(shards_.size()));
}

std::chrono::milliseconds shard_faults::up_to(std::chrono::milliseconds most) {
    return std::chrono::milliseconds{
        static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most.count() + 1))};
}

} // namespace coupon_race
