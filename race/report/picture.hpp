/// What a page can show of one strategy's race beyond its figures.
#ifndef COUPON_RACE_REPORT_PICTURE_HPP
#define COUPON_RACE_REPORT_PICTURE_HPP

#include <cstdint>
#include <map>
#include <vector>

#include "judge/latency.hpp"
#include "report/timeline.hpp"

namespace coupon_race {

/// So many units were sold when that time had passed.
struct sale_point {
    duration after{};
    std::int64_t sold = 0;
};

struct picture {
    coupon_race::timeline timeline;
    std::map<outcome, latency_histogram> latency;
    std::vector<sale_point> sales; ///< of a coupon with a cap: no more than some hundred points
};

/// `cap` is 0 if there is none.
picture picture_of(const race_log &log, const std::vector<ledger_row> &ledger,
                   std::int64_t cap = 0);

} // namespace coupon_race

#endif
