// Shared memory of fixed size, which is there only if the library is in shared_preload_libraries.
//
// The server asks for it once, before it has any other process: so a library that a session loads
// later finds none, and whoever uses an area must do without where it is null.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

struct shared_area {
    const char *name;           // by which the server lists it (pg_shmem_allocations)
    Size (*size)();             // in bytes; asked when the settings have been read
    void (*begin)(void *begun); // makes it what it is when the server has started, of any bytes
    void **memory;              // where it is; stays null without preloading
};

// To be called by _PG_init() once for each area, which must live as long as the process. Does
// nothing unless the postmaster is loading the libraries that are preloaded.
void register_shared_area(const shared_area &area);

} // namespace coupon_guard
