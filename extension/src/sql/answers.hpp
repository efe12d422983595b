// Where every answer leaves, of whatever function, as a row, as a truth value or as an error: the
// one place for what is to be known of all of them.
#pragma once

#include "sql/attempt.hpp"
#include "statistics/calls.hpp"

namespace coupon_guard {

// Each function begins with begin_call(), and ends by one of these.

// The answer as a row of the type that the function returns; a hold's has its deadline where a
// redemption's has its time. A reason that is not to be told is taken out of the answer, and waited
// for (attempt.hpp). Errors: 55000 if the type is not as the extension made it.
Datum answer_row(called function, const attempt_call &attempts, const installation &guard,
                 redeem_answer &answer);
Datum answer_row(const attempt_call &attempts, const installation &guard, coupon_check &answer);
Datum answer_row(called function, const attempt_call &attempts, const installation &guard,
                 claim_answer &answer);

// The same, but that a refusal is raised as an error (RC001 to RC006, RC009 to RC012). code is what
// the customer typed.
Datum answer_or_raise(const attempt_call &attempts, const installation &guard,
                      const redeem_request &request, redeem_answer &answer, Datum code);

// A row for each code, into the set that the function returns. spent: what each has taken.
void answer_rows(FunctionCallInfo call, const attempt_call &attempts, const installation &guard,
                 redeem_answer *answers, const tally *spent, const Datum *codes, int count);

// Rows of the type that a function returns a set of, answers of redeem_coupon(): begins the set;
// adds one; ends it. True: its reason is not to be told, so the call must wait when it has ended
// it. Errors: as for answer_row().
void begin_answers(FunctionCallInfo call, const installation &guard);
bool add_answer(FunctionCallInfo call, const attempt_call &attempts, const installation &guard,
                redeem_answer &answer);
void end_answers();

// Whether the redemption was voided by this call.
Datum answer_void(bool is_voided);

} // namespace coupon_guard
