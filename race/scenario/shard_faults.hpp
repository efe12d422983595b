/// What befalls the servers of a race over shards, and the network between them.
#ifndef COUPON_RACE_SCENARIO_SHARD_FAULTS_HPP
#define COUPON_RACE_SCENARIO_SHARD_FAULTS_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>

#include "place/shard_cluster.hpp"
#include "race_log.hpp"

namespace coupon_race {

/// Shards that crash, one at a time, and are started again soon; networks that are reset, or gone
/// for a while, after which what was under way arrives or is lost. All by the thread that calls:
/// the kernel would end a server together with the thread that has started it.
class shard_faults {
  public:
    /// Every so often, the first after so long, and not before all has been well for half of it: a
    /// busy machine starts a server slowly. 0: never.
    struct intervals {
        std::chrono::microseconds crash, cut;
    };

    shard_faults(shard_cluster &shards, intervals often, std::uint64_t seed);

    /// Does what is due. To be called several times a second. Throws setup_error if a server does
    /// not come back.
    void go_on();
    /// All servers are there again, and all networks.
    void end();

    std::int64_t crashes() const { return crashes_; }
    std::int64_t cuts() const { return cuts_; }

  private:
    /// Of one shard; the other kind goes its own way.
    struct misfortune {
        int shard;
        race_clock::time_point until;
        bool ends_by_reset = false;
    };

    void crash_one(race_clock::time_point now);
    void start_again();
    void cut_one(race_clock::time_point now);
    void mend();
    int one_of_the_shards();
    std::chrono::milliseconds up_to(std::chrono::milliseconds most);

    shard_cluster &shards_;
    const intervals often_;
    std::mt19937_64 random_;
    race_clock::time_point next_crash_, next_cut_;
    std::optional<misfortune> down_, held_;
    std::int64_t crashes_ = 0;
    std::int64_t cuts_ = 0;
};

} // namespace coupon_race

#endif
