// The library as the server loads it: its settings, and what it registers in each backend.

#include "coupon/own_changes.hpp"
#include "pg/wait.hpp"
#include "quota/quota.hpp"
#include "quota/quota_ahead.hpp"
#include "sql/arguments.hpp"
#include "sql/attempt.hpp"
#include "sql/keep_rows.hpp"
#include "statistics/calls.hpp"
#include "throttle/throttle.hpp"

using namespace coupon_guard;

extern "C" {

PG_MODULE_MAGIC;

void _PG_init(void);
void _PG_init(void) {
    DefineCustomIntVariable("coupon_guard.quota_stripes",
                            "The most rows that the quota of a capped coupon is divided over.",
                            "A quota begins with few, and gets more where buyers meet. "
                            "Column stripes of a coupon stands instead.",
                            &quota_stripes, 64, 1, 1024, PGC_SUSET, 0, nullptr, nullptr, nullptr);
    DefineCustomEnumVariable(
        "coupon_guard.user_id_type", "The type that the shop's user ids have.",
        "Ids that come as text are read as this type, so that one user has one "
        "spelling; auto: bigint, uuid, or text that is no other spelling of one.",
        &user_ids_are, user_ids_are, user_id_type_names, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    define_attempt_settings();
    register_throttle();
    register_counts();
    MarkGUCPrefixReserved("coupon_guard");
    register_catalog_callbacks();
    register_transaction_callbacks();
    register_own_change_callbacks();
    register_keep_rows_hook();
    register_wait_events();
    register_call_callbacks();
}
}
