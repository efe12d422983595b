// Refusals as errors: what redeem_coupon_strict() raises.
#pragma once

#include "redeem.hpp"

namespace coupon_guard {

// Raises the error of a refusal, with its SQLSTATE of class RC. code is what the customer typed.
[[noreturn]] void report_refusal(const redeem_request &request, const redeem_answer &answer,
                                 Datum code);

} // namespace coupon_guard
