-- A C function that does nothing: what a statement costs anyway.
SELECT shards.coupon_guard_version();
