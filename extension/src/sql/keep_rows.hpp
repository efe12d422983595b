// Keeps coupons and redemptions from being dropped along with something else.
#pragma once

namespace coupon_guard {

// From here on, in this backend, an error (2BP01) for whatever would drop a table of the extension
// that has rows of which a dump is told.
void register_keep_rows_hook();

} // namespace coupon_guard
