// A clock that nobody sets, and that all processes of the server share.
#pragma once

#include "pg/backend.hpp"

extern "C" {
#include "portability/instr_time.h"
}

namespace coupon_guard {

// In microseconds, from some moment before the server was started.
inline int64 monotonic_now() {
    instr_time now;
    INSTR_TIME_SET_CURRENT(now);
    return static_cast<int64>(INSTR_TIME_GET_MICROSEC(now));
}

} // namespace coupon_guard
