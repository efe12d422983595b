/// What a run is asked to do.
#ifndef COUPON_RACE_SETTINGS_HPP
#define COUPON_RACE_SETTINGS_HPP

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "place/conninfo.hpp"
#include "report/terminal.hpp"
#include "scenario/scenario.hpp"

namespace coupon_race {

struct settings {
    const scenario *raced = nullptr;
    race_settings race;
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
