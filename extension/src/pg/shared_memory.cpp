// The areas are few, and known when the library is loaded. After a crash the postmaster makes all
// shared memory anew and calls the startup hook again: an area begins as it did at first. Where
// processes do not inherit memory (EXEC_BACKEND), each calls the hook and finds what is there.

#include "pg/shared_memory.hpp"

extern "C" {
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
}

namespace coupon_guard {
namespace {

constexpr int most_areas = 4;
const shared_area *areas[most_areas];
int area_count = 0;

shmem_request_hook_type next_request_hook = nullptr;
shmem_startup_hook_type next_startup_hook = nullptr;

void request_areas() {
    if (next_request_hook != nullptr)
        next_request_hook();
    for (int i = 0; i < area_count; i++)
        RequestAddinShmemSpace(areas[i]->size());
}

void attach(const shared_area &area) {
    bool is_found;
    void *memory = ShmemInitStruct(area.name, area.size(), &is_found);
    if (!is_found)
        area.begin(memory);
    *area.memory = memory;
}

void attach_areas() {
    if (next_startup_hook != nullptr)
        next_startup_hook();
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    for (int i = 0; i < area_count; i++)
        attach(*areas[i]);
    LWLockRelease(AddinShmemInitLock);
}

void install_hooks() {
    next_request_hook = shmem_request_hook;
    shmem_request_hook = request_areas;
    next_startup_hook = shmem_startup_hook;
    shmem_startup_hook = attach_areas;
}

} // namespace

void register_shared_area(const shared_area &area) {
    if (!process_shared_preload_libraries_in_progress)
        return;
    if (area_count == 0)
        install_hooks();
    Assert(area_count < most_areas);
    areas[area_count++] = &area;
}

} // namespace coupon_guard
