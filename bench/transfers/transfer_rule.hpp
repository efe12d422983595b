/// How many units a shard gives when another asks, when a shard asks, and whether units are moved
/// before anybody asks.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

namespace transfers {

using units = std::int64_t;
using seconds = double;

/// A shard, as another sees it.
struct holdings {
    units left = 0;
    units used = 0; ///< redeemed here so far
};

/// What a giver parts with, and how early a taker asks.
struct transfer_rule {
    enum class gift { half, by_use, lot };

    std::string name;
    gift what = gift::half;
    units lot = 0;
    /// A shard asks ahead of need when what it has left would last for less than so many times a
    /// transfer's time, as its units went lately; 0: when it has none.
    double ahead = 0;
    /// How often what is left is divided anew among all shards; 0: never.
    seconds rebalanced_every = 0;
    /// In proportion to all that they have used, and not to what they have since the last time.
    bool looks_at_all_use = false;

    units gift_of(const holdings &giver, const holdings &taker) const {
        if (giver.left <= 0)
            return 0;
        switch (what) {
        case gift::half:
            return giver.left - giver.left / 2;
        case gift::lot:
            return std::min(lot, giver.left);
        case gift::by_use: // each keeps what it needs, if both go on as they have
            break;
        }
        auto share =
            static_cast<double>(taker.used + 1) / static_cast<double>(taker.used + giver.used + 2);
        auto given = static_cast<units>(std::ceil(static_cast<double>(giver.left) * share));
        return std::min(given, giver.left);
    }
};

} // namespace transfers
