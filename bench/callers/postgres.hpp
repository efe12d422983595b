/// Callers of coupon_guard.
#ifndef COUPON_GUARD_BENCH_CALLERS_POSTGRES_HPP
#define COUPON_GUARD_BENCH_CALLERS_POSTGRES_HPP

#include <string>

#include "load.hpp"

namespace callers {

struct database {
    std::string conninfo; ///< as libpq takes it
    std::string schema;   ///< of the extension
};

/// Threads, each with a coupon_guard::client of its own.
tally ask_by_connections(const load &wanted, const request_source &source, const database &where);

/// Threads that share a coupon_guard::group_client with so many connections.
tally ask_by_group(const load &wanted, const request_source &source, const database &where,
                   int connections);

/// One thread, an event loop: as many futures of a group_client as there are callers.
tally ask_by_futures(const load &wanted, request_source source, const database &where,
                     int connections);

} // namespace callers

#endif
