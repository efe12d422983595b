// What view coupon_guard_stats reads, and its reset. Who may call them is said in privileges.sql.

#include "statistics/counts.hpp"

extern "C" {
#include "utils/regproc.h"
}

namespace coupon_guard {
namespace {

constexpr int stats_column_count = 3 + counter_count + 1;

Datum milliseconds(uint64 microseconds) {
    return Float8GetDatum(static_cast<double>(microseconds) / 1000.0);
}

bool is_time(int counted) {
    return counted >= static_cast<int>(counter::rival_wait_time) &&
           counted <= static_cast<int>(counter::lock_wait_time);
}

void add_row(const ReturnSetInfo *result, called function, int outcome, TimestampTz since) {
    const call_counts counted = read_counts(function, outcome);
    if (counted.calls == 0)
        return;
    Datum row[stats_column_count];
    bool nulls[stats_column_count] = {};
    nulls[1] = outcome == outcome_by_error;
    row[0] = CStringGetTextDatum(called_names[static_cast<int>(function)]);
    row[1] = nulls[1] ? Datum{0} : CStringGetTextDatum(status_labels[outcome]);
    row[2] = Int64GetDatum(static_cast<int64>(counted.calls));
    for (int i = 0; i < counter_count; i++)
        row[3 + i] = is_time(i) ? milliseconds(counted.spent.of[i])
                                : Int64GetDatum(static_cast<int64>(counted.spent.of[i]));
    row[3 + counter_count] = TimestampTzGetDatum(since);
    tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
}

// The statuses in their order, then the errors.
void add_rows(FunctionCallInfo call) {
    check_counts();
    InitMaterializedSRF(call, 0);
    auto result = reinterpret_cast<ReturnSetInfo *>(call->resultinfo);
    if (result->setDesc->natts != stats_column_count)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("function %s is not as extension coupon_guard made it",
                               format_procedure(call->flinfo->fn_oid))));
    const TimestampTz since = counted_since();
    for (int function = 0; function < called_count; function++)
        for (int outcome = 0; outcome < outcome_count; outcome++)
            add_row(result, static_cast<called>(function), outcome, since);
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_read_stats);
Datum coupon_guard_read_stats(PG_FUNCTION_ARGS) {
    add_rows(fcinfo);
    return Datum{0};
}

PG_FUNCTION_INFO_V1(coupon_guard_stats_reset);
Datum coupon_guard_stats_reset(PG_FUNCTION_ARGS) {
    check_counts();
    reset_counts();
    PG_RETURN_VOID();
}
}
