// The functions by which units move between shards: unpack the arguments, call one function.

#include "redeem/redeem.hpp"
#include "rights/transfer.hpp"
#include "sql/arguments.hpp"

extern "C" {
#include "utils/regproc.h"
}

namespace coupon_guard {
namespace {

void read_shard_name(const NullableDatum &value, const char *name, shard_name &into) {
    check_argument_given(value, name);
    text *given = DatumGetTextPP(value.value);
    const std::size_t length = VARSIZE_ANY_EXHDR(given);
    if (length == 0 || length > most_shard_name_bytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("%s must have 1 to %zu bytes", name, most_shard_name_bytes)));
    into.assign(VARDATA_ANY(given), length);
}

// (code, units, transfer_id, shard, kind)
transfer_request read_transfer_request(FunctionCallInfo call, const char *peer_name) {
    check_argument_given(call->args[0], "code");
    check_argument_given(call->args[1], "units");
    check_argument_given(call->args[2], "transfer id");
    check_argument_given(call->args[4], "kind");
    transfer_request asked;
    asked.owner = read_code(call->args[0].value); // names are compared as codes are
    asked.typed = call->args[0].value;
    asked.units = DatumGetInt64(call->args[1].value);
    asked.id = *DatumGetUUIDP(call->args[2].value);
    asked.kind = read_quota_kind(DatumGetChar(call->args[4].value));
    read_shard_name(call->args[3], peer_name, asked.peer);
    if (asked.units < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("units must be positive"),
                        errdetail("There are " INT64_FORMAT ".", asked.units)));
    return asked;
}

// The row type of coupon_guard_units(), which lists its columns itself.
constexpr Oid units_columns[] = {TEXTOID, INT8OID, INT8OID, INT8OID,
                                 INT8OID, BOOLOID, INT8OID, INT8OID};

TupleDesc prove_units_type(FunctionCallInfo call) {
    TupleDesc row;
    bool is_row = get_call_result_type(call, nullptr, &row) == TYPEFUNC_COMPOSITE &&
                  row->natts == static_cast<int>(lengthof(units_columns));
    for (int i = 0; is_row && i < row->natts; i++)
        is_row = TupleDescAttr(row, i)->atttypid == units_columns[i] &&
                 !TupleDescAttr(row, i)->attisdropped;
    if (!is_row)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("function %s is not as extension coupon_guard made it",
                               format_procedure(call->flinfo->fn_oid))));
    return BlessTupleDesc(row);
}

Datum units_row(FunctionCallInfo call, const units_here &seen) {
    TupleDesc type = prove_units_type(call);
    const Datum values[] = {
        PointerGetDatum(
            cstring_to_text_with_len(seen.shard.bytes, static_cast<int>(seen.shard.length()))),
        Int64GetDatum(seen.id.owner_id),
        Int64GetDatum(seen.granted),
        Int64GetDatum(seen.granted - seen.remaining),
        Int64GetDatum(seen.remaining),
        BoolGetDatum(seen.is_dry),
        Int64GetDatum(seen.transfers),
        Int64GetDatum(seen.under_way),
    };
    bool nulls[lengthof(values)] = {};
    return HeapTupleGetDatum(heap_form_tuple(type, const_cast<Datum *>(values), nulls));
}

} // namespace
} // namespace coupon_guard

using namespace coupon_guard;

extern "C" {

PG_FUNCTION_INFO_V1(coupon_guard_release_units);
Datum coupon_guard_release_units(PG_FUNCTION_ARGS) {
    const transfer_request asked = read_transfer_request(fcinfo, "to_shard");
    const installation guard = open_guard_to_write(fcinfo->flinfo->fn_oid, "release_units()");
    PG_RETURN_INT64(release_units(guard, asked));
}

PG_FUNCTION_INFO_V1(coupon_guard_accept_units);
Datum coupon_guard_accept_units(PG_FUNCTION_ARGS) {
    const transfer_request asked = read_transfer_request(fcinfo, "from_shard");
    const installation guard = open_guard_to_write(fcinfo->flinfo->fn_oid, "accept_units()");
    PG_RETURN_BOOL(accept_units(guard, asked));
}

PG_FUNCTION_INFO_V1(coupon_guard_settle_transfer);
Datum coupon_guard_settle_transfer(PG_FUNCTION_ARGS) {
    check_argument_given(fcinfo->args[0], "transfer id");
    const installation guard = open_guard_to_write(fcinfo->flinfo->fn_oid, "settle_transfer()");
    PG_RETURN_BOOL(settle_transfer(guard, *PG_GETARG_UUID_P(0)));
}

PG_FUNCTION_INFO_V1(coupon_guard_look_at_units);
Datum coupon_guard_look_at_units(PG_FUNCTION_ARGS) {
    check_argument_given(fcinfo->args[0], "code");
    check_argument_given(fcinfo->args[1], "kind");
    const code_key owner = read_code(PG_GETARG_DATUM(0));
    const quota_kind kind = read_quota_kind(PG_GETARG_CHAR(1));
    PreventCommandIfParallelMode("coupon_guard_units()");
    CommandCounterIncrement(); // what the command at hand has done so far counts
    const installation guard = open_guard(fcinfo->flinfo->fn_oid, AccessShareLock);
    const units_here seen = look_at_units(guard, owner, kind);
    if (!seen.has_limit)
        PG_RETURN_NULL();
    return units_row(fcinfo, seen);
}
}
