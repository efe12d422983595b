#include "sql/answers.hpp"

#include "redeem/refusal.hpp"

namespace coupon_guard {
namespace {

// ---- the exit ---------------------------------------------------------------------------------

constexpr uint32 bit(coupon_status what) {
    return uint32{1} << static_cast<int>(what);
}

constexpr uint32 refusals = bit(coupon_status::not_found) | bit(coupon_status::inactive) |
                            bit(coupon_status::not_started) | bit(coupon_status::expired) |
                            bit(coupon_status::already_redeemed) | bit(coupon_status::sold_out) |
                            bit(coupon_status::insufficient) | bit(coupon_status::reserved) |
                            bit(coupon_status::throttled);

// What each function may answer, as docs/reference.md has it.
[[maybe_unused]] uint32 answers_of(called function) {
    switch (function) {
    case called::redeem_coupon:
    case called::redeem_coupon_strict:
    case called::redeem_coupon_for_each:
        return refusals | bit(coupon_status::redeemed) | bit(coupon_status::voided);
    case called::redeem_coupons:
        return refusals | bit(coupon_status::redeemed) | bit(coupon_status::voided) |
               bit(coupon_status::withheld);
    case called::hold_coupon:
        return refusals | bit(coupon_status::held) | bit(coupon_status::redeemed) |
               bit(coupon_status::voided);
    case called::confirm_hold:
        return bit(coupon_status::redeemed) | bit(coupon_status::expired) |
               bit(coupon_status::voided);
    case called::void_redemption:
        return bit(coupon_status::voided);
    case called::check_coupon:
        return refusals | bit(coupon_status::redeemed);
    case called::claim_coupon:
        return bit(coupon_status::claimed) | bit(coupon_status::not_found) |
               bit(coupon_status::inactive) | bit(coupon_status::not_started) |
               bit(coupon_status::expired) | bit(coupon_status::sold_out) |
               bit(coupon_status::throttled);
    case called::release_claim:
        return bit(coupon_status::released) | bit(coupon_status::not_found) |
               bit(coupon_status::already_redeemed) | bit(coupon_status::throttled);
    }
    return 0;
}

// Every answer comes through one of these, once, before it is given or raised; that of a set is not
// the end of the call.
void leave(called function, coupon_status what) {
    Assert((answers_of(function) & bit(what)) != 0);
    count_answer(function, what);
    end_call(function);
}
void leave_in_set(called function, coupon_status what) {
    Assert((answers_of(function) & bit(what)) != 0);
    count_answer(function, what);
}
void leave_in_set(called function, coupon_status what, const tally &spent) {
    Assert((answers_of(function) & bit(what)) != 0);
    count_answer(function, what, spent);
}

// The same, of answers to attempts, which may have a reason that is not to be told: then the call
// waits before it gives or raises it.
template <typename answer_of_call>
void leave_alone(called function, const attempt_call &attempts, answer_of_call &answer) {
    leave(function, answer.status);
    if (hide_reason(attempts, answer))
        wait_to_be_alike(attempts);
}

// ---- rows -------------------------------------------------------------------------------------

// What an answer type must be. The rows made of it are read by its columns' types, so each is
// compared; whenever the type may have changed, which its identifier tells.
template <int count>
struct answer_shape {
    Oid columns[count]; // InvalidOid: the enum coupon_status
    uint64 proven;      // identifier of the row type that was compared last
    Oid type; // which that was, and its entry: one stays as long as the backend, and loses
    const TypeCacheEntry *entry; // its row type whenever that may have changed
};

void report_altered_type(Oid type) {
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("type %s is not as extension coupon_guard made it", format_type_be(type))));
}

template <int count>
bool is_made_of(const catalog &tables, TupleDesc row, const answer_shape<count> &shape,
                int columns) {
    bool is_same = row->natts == columns;
    for (int i = 0; i < columns && is_same; i++) {
        Form_pg_attribute column = TupleDescAttr(row, i);
        Oid expected = OidIsValid(shape.columns[i]) ? shape.columns[i] : tables.status_type;
        is_same = !column->attisdropped && column->atttypid == expected && column->atttypmod == -1;
    }
    return is_same;
}

template <int count>
TupleDesc prove_answer_type(const catalog &tables, Oid type, answer_shape<count> &shape,
                            int first_count) {
    if (type == shape.type && shape.entry != nullptr && shape.entry->tupDesc != nullptr &&
        shape.entry->tupDesc_identifier == shape.proven)
        return shape.entry->tupDesc;
    const int columns = tables.is_updated ? count : first_count;
    const TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_TUPDESC);
    if (entry->tupDesc == nullptr)
        report_altered_type(type);
    bool is_proven = entry->tupDesc_identifier == shape.proven;
    if (!is_proven && !is_made_of(tables, entry->tupDesc, shape, columns))
        report_altered_type(type);
    shape.proven = entry->tupDesc_identifier;
    shape.type = type;
    shape.entry = entry;
    return entry->tupDesc;
}

// A row of one of our composite types.
template <int count>
Datum form_row(const catalog &tables, Oid type, answer_shape<count> &shape, int first_count,
               const Datum (&values)[count], const bool (&nulls)[count]) {
    return HeapTupleGetDatum(heap_form_tuple(prove_answer_type(tables, type, shape, first_count),
                                             const_cast<Datum *>(values),
                                             const_cast<bool *>(nulls)));
}

constexpr int answer_column_count = 10;
constexpr int first_answer_column_count = 7; // of 0.1.0
constexpr int check_column_count = 7;
constexpr int first_check_column_count = 4;
constexpr int claim_column_count = 6;
answer_shape<answer_column_count> redeem_answer_shape = {{InvalidOid, INT8OID, INT8OID, INT4OID,
                                                          TIMESTAMPTZOID, JSONBOID, BOOLOID,
                                                          INT8OID, TEXTOID, TIMESTAMPTZOID},
                                                         0,
                                                         InvalidOid,
                                                         nullptr};
answer_shape<answer_column_count> hold_answer_shape = redeem_answer_shape;
answer_shape<check_column_count> check_answer_shape = {
    {InvalidOid, INT8OID, INT4OID, INT8OID, INT8OID, TEXTOID, TIMESTAMPTZOID},
    0,
    InvalidOid,
    nullptr};
answer_shape<claim_column_count> claim_answer_shape = {
    {InvalidOid, INT8OID, TEXTOID, JSONBOID, BOOLOID, TIMESTAMPTZOID}, 0, InvalidOid, nullptr};

Datum value_of(const catalog &tables, coupon_status what) {
    return ObjectIdGetDatum(tables.status_values[static_cast<int>(what)]);
}

// Which of the two refused it, where a coupon has a campaign; or that a shard has no more of what
// is divided over shards.
Datum limited_by(const coupon_row &coupon, coupon_status what, limit_owner owner, bool is_by_shard,
                 bool &is_null) {
    is_null =
        is_success(what) || (!is_by_shard && (!coupon.has_campaign || owner == limit_owner::none));
    if (is_null)
        return Datum{0};
    return CStringGetTextDatum(is_by_shard                      ? "shard"
                               : owner == limit_owner::campaign ? "campaign"
                                                                : "coupon");
}

// The columns of an answer; a hold shows its deadline where a redemption shows its time.
void fill_answer(const catalog &tables, const redeem_answer &answer, bool of_hold, Datum *values,
                 bool *nulls) {
    bool has_terms = is_success(answer.status) && answer.has_coupon && answer.coupon.has_terms;
    values[0] = value_of(tables, answer.status);
    values[1] = Int64GetDatum(answer.made.id);
    values[2] = Int64GetDatum(answer.coupon.id);
    values[3] = Int32GetDatum(answer.made.use_no);
    values[4] =
        TimestampTzGetDatum(of_hold ? answer.made.hold_expires_at : answer.made.redeemed_at);
    values[5] = answer.coupon.terms;
    values[6] = BoolGetDatum(answer.is_replayed);
    bool is_short = answer.status == coupon_status::insufficient;
    values[7] = Int64GetDatum(is_short ? answer.left : answer.made.amount);
    nulls[0] = nulls[6] = false;
    nulls[1] = nulls[3] = !answer.has_redemption;
    nulls[2] = !answer.has_coupon;
    nulls[4] = !answer.has_redemption || (of_hold && !is_hold(answer.made));
    nulls[5] = !has_terms;
    nulls[7] = !is_short && (!answer.has_redemption || answer.made.amount == 0);
    values[8] =
        limited_by(answer.coupon, answer.status, answer.limited_by, answer.is_by_shard, nulls[8]);
    values[9] = TimestampTzGetDatum(answer.retry_at);
    nulls[9] = answer.status != coupon_status::throttled;
}

} // namespace

Datum answer_row(called function, const attempt_call &attempts, const installation &guard,
                 redeem_answer &answer) {
    leave_alone(function, attempts, answer);
    const catalog &tables = catalog_of(guard);
    bool of_hold = function == called::hold_coupon;
    Datum values[answer_column_count];
    bool nulls[answer_column_count];
    fill_answer(tables, answer, of_hold, values, nulls);
    answer_shape<answer_column_count> &shape = of_hold ? hold_answer_shape : redeem_answer_shape;
    return form_row(tables, guard.result_type, shape, first_answer_column_count, values, nulls);
}

Datum answer_row(const attempt_call &attempts, const installation &guard, coupon_check &answer) {
    leave_alone(called::check_coupon, attempts, answer);
    const catalog &tables = catalog_of(guard);
    bool is_unlimited;
    const Datum limited = limited_by(answer.coupon, answer.status, answer.limited_by,
                                     answer.is_by_shard, is_unlimited);
    const Datum values[] = {
        value_of(tables, answer.status),        Int64GetDatum(answer.coupon.id),
        Int32GetDatum(answer.remaining_uses),   Int64GetDatum(answer.remaining_units),
        Int64GetDatum(answer.remaining_budget), limited,
        TimestampTzGetDatum(answer.retry_at),
    };
    const bool nulls[] = {
        false,
        !answer.has_coupon,
        answer.remaining_uses == no_limit,
        answer.remaining_units == any_number,
        answer.remaining_budget == any_number,
        is_unlimited,
        answer.status != coupon_status::throttled,
    };
    return form_row(tables, guard.result_type, check_answer_shape, first_check_column_count, values,
                    nulls);
}

Datum answer_row(called function, const attempt_call &attempts, const installation &guard,
                 claim_answer &answer) {
    leave_alone(function, attempts, answer);
    const catalog &tables = catalog_of(guard);
    const Datum values[] = {
        value_of(tables, answer.status),
        Int64GetDatum(answer.code.id),
        answer.code.code,
        answer.code.terms,
        BoolGetDatum(answer.is_replayed),
        TimestampTzGetDatum(answer.retry_at),
    };
    bool has_terms = answer.status == coupon_status::claimed && answer.code.has_terms;
    const bool nulls[] = {false,
                          !answer.has_code,
                          !answer.has_code,
                          !has_terms,
                          false,
                          answer.status != coupon_status::throttled};
    return form_row(tables, guard.result_type, claim_answer_shape, claim_column_count, values,
                    nulls);
}

Datum answer_or_raise(const attempt_call &attempts, const installation &guard,
                      const redeem_request &request, redeem_answer &answer, Datum code) {
    if (is_success(answer.status))
        return answer_row(called::redeem_coupon_strict, attempts, guard, answer);
    leave_alone(called::redeem_coupon_strict, attempts, answer);
    report_refusal(request, answer, code);
}

void answer_rows(FunctionCallInfo call, const attempt_call &attempts, const installation &guard,
                 redeem_answer *answers, const tally *spent, const Datum *codes, int count) {
    auto result = reinterpret_cast<ReturnSetInfo *>(call->resultinfo);
    constexpr int most_columns = 1 + answer_column_count;
    Assert(result->setDesc->natts == 1 + first_answer_column_count || // without amounts
           result->setDesc->natts == most_columns);
    bool must_wait = false;
    for (int i = 0; i < count; i++) {
        leave_in_set(called::redeem_coupons, answers[i].status, spent[i]);
        must_wait |= hide_reason(attempts, answers[i]);
        Datum row[most_columns] = {codes[i]};
        bool nulls[most_columns] = {false};
        fill_answer(catalog_of(guard), answers[i], false, row + 1, nulls + 1);
        tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
    }
    end_call(called::redeem_coupons);
    if (must_wait)
        wait_to_be_alike(attempts);
}

// The set's rows have the columns that the type has now, whatever becomes of it meanwhile.
void begin_answers(FunctionCallInfo call, const installation &guard) {
    InitMaterializedSRF(call, 0);
    auto result = reinterpret_cast<ReturnSetInfo *>(call->resultinfo);
    if (!is_made_of(catalog_of(guard), result->setDesc, redeem_answer_shape, answer_column_count))
        report_altered_type(guard.result_type);
}

bool add_answer(FunctionCallInfo call, const attempt_call &attempts, const installation &guard,
                redeem_answer &answer) {
    leave_in_set(called::redeem_coupon_for_each, answer.status);
    const bool must_wait = hide_reason(attempts, answer);
    const catalog &tables = catalog_of(guard);
    auto result = reinterpret_cast<ReturnSetInfo *>(call->resultinfo);
    Datum row[answer_column_count];
    bool nulls[answer_column_count];
    fill_answer(tables, answer, false, row, nulls);
    tuplestore_putvalues(result->setResult, result->setDesc, row, nulls);
    return must_wait;
}

void end_answers() {
    end_call(called::redeem_coupon_for_each);
}

Datum answer_void(bool is_voided) {
    leave(called::void_redemption, coupon_status::voided);
    return BoolGetDatum(is_voided);
}

} // namespace coupon_guard
