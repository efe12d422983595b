/// What the scenarios of a capped coupon have in common: more buyers than units, each of whom comes
/// once, to whichever client is free.
#ifndef COUPON_RACE_SCENARIO_SALE_HPP
#define COUPON_RACE_SCENARIO_SALE_HPP

#include <functional>

#include "scenario/clients.hpp"
#include "scenario/scenario.hpp"

namespace coupon_race {

class sale : public scenario {
  protected:
    using serving = std::function<attempt(session &, const starting_gate &, std::int64_t user,
                                          const std::string &code)>;

    sale();

    /// Serves all buyers. The first of each client has a number below zero, is there to warm up,
    /// and is not in the log.
    static race_log serve_all(const turn &of, conduct rules, const serving &serve);

    /// Two findings of the scenario's own, the first always "over the cap", and those that sales
    /// share.
    static judgement judged_sale(const race_result &result, std::int64_t cap, finding second);
};

/// A number from 0 to 1, the same for the same buyer and seed.
double drawn_for(std::uint64_t seed, std::int64_t buyer);

} // namespace coupon_race

#endif
