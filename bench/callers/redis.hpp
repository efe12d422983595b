/// Callers of Redis. Compiled where hiredis is installed.
#ifndef COUPON_GUARD_BENCH_CALLERS_REDIS_HPP
#define COUPON_GUARD_BENCH_CALLERS_REDIS_HPP

#include <string>

#include "load.hpp"

namespace callers {

struct redis_server {
    std::string socket;
    std::string script; ///< SHA1 of the script, which has been loaded
};

/// Threads, each with a connection of its own, on which it blocks. Throws std::runtime_error.
tally ask_redis(const load &wanted, const request_source &source, const redis_server &where);

} // namespace callers

#endif
