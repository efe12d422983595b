-- A C function that does nothing: what a statement costs anyway.
SELECT guard.coupon_guard_version();
