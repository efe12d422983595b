/// What the scenarios of a coupon that does not do for all have in common: many buyers, each of
/// whom comes once, to whichever client is free.
#ifndef COUPON_RACE_SCENARIO_SALE_HPP
#define COUPON_RACE_SCENARIO_SALE_HPP

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "scenario/bystander.hpp"
#include "scenario/clients.hpp"
#include "scenario/scenario.hpp"

namespace coupon_race {

class sale : public scenario {
  protected:
    using serving = std::function<attempt(session &, const starting_gate &, std::int64_t user,
                                          const std::string &code)>;

    using counter =
        std::function<attempt(const starting_gate &, std::int64_t user, const std::string &code)>;

    sale();

    /// Serves all buyers. The first of each client has a number below zero, is there to warm up,
    /// and is not in the log.
    static race_log serve_all(const turn &of, conduct rules, const serving &serve);
    /// Likewise, each client at a counter of its own, which is opened in the client's thread.
    static race_log serve_all(const turn &of, const std::function<counter(int client)> &open);

    /// One request in a transaction of its own, which is open for `hold_time` once it has got what
    /// it wants.
    static attempt make_attempt(session &client, const request &asked, bool is_rolled_back,
                                std::chrono::microseconds hold_time);

    /// The findings of the scenario's own, and those that sales share.
    static judgement judged_sale(const race_result &result, std::vector<finding> own);
    static finding over_the_cap(const race_result &result, std::int64_t cap);
};

/// Adds up the time that backends wait for locks, by looking at all of them every few milliseconds:
/// an estimate whose mean is the truth. (Of a coupon_guard that is preloaded they are of type
/// Extension.)
class lock_watch {
  public:
    /// `blocked` must outlive it.
    lock_watch(const std::string &connection, duration &blocked);
    void stop() { watching_.stop(); }

  private:
    race_clock::time_point looked_ = race_clock::now();
    bystander watching_; // the last: it uses what is above
};

/// A number from 0 to 1, the same for the same buyer and seed.
double drawn_for(std::uint64_t seed, std::int64_t buyer);

} // namespace coupon_race

#endif
