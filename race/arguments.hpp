/// The command line.
#ifndef COUPON_RACE_ARGUMENTS_HPP
#define COUPON_RACE_ARGUMENTS_HPP

#include <optional>
#include <string>
#include <vector>

#include "run.hpp"

namespace coupon_race {

/// Either settings to run with, or an exit status and what to say first.
struct parsed_arguments {
    coupon_race::settings settings;
    std::optional<int> exit;
    std::string output; ///< for stdout: --help, --version
    std::string error;  ///< for stderr
};

/// `arguments` without the program's name. Bad arguments exit with 254.
parsed_arguments parse_arguments(std::vector<std::string> arguments);

} // namespace coupon_race

#endif
