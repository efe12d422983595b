/// What a run is asked to do.
#ifndef COUPON_RACE_SETTINGS_HPP
#define COUPON_RACE_SETTINGS_HPP

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "place/conninfo.hpp"
#include "report/terminal.hpp"
#include "scenario/checkout.hpp"
#include "scenario/double_click.hpp"
#include "scenario/drop.hpp"

namespace coupon_race {

struct settings {
    std::string scenario = double_click_name;
    int clients = 2;
    std::int64_t rounds = 200;
    std::chrono::microseconds think_time{0};
    coupon_race::drop drop;              ///< of the scenario drop; `clients` is set there too
    coupon_race::checkout checkout;      ///< of the scenario checkout; likewise
    std::optional<std::uint64_t> seed;   ///< of the pauses between retries; none: a new one
    std::vector<std::string> strategies; ///< names, in the order they are raced

    std::optional<conninfo> server; ///< none: a throw-away server
    std::filesystem::path programs; ///< --pg-bin; empty: found

    std::string json_file; ///< empty: none; "-": stdout
    std::string html_file; ///< likewise
    colour_choice colour = colour_choice::automatic;
};

} // namespace coupon_race

#endif
