/// A whole run, from a place to race in to the report.
#ifndef COUPON_RACE_RUN_HPP
#define COUPON_RACE_RUN_HPP

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "place/conninfo.hpp"
#include "report/race_report.hpp"
#include "report/terminal.hpp"
#include "scenario/scenario.hpp"

namespace coupon_race {

/// What it is asked to do.
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

/// Finds or starts the server, checks what the race needs, races one strategy after the other, each
/// in a database made for it, and leaves the server as it was. Throws setup_error, `interrupted`,
/// or what the database layer throws.
race_report run(const settings &wanted);

} // namespace coupon_race

#endif
