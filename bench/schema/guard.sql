-- The extension, and the coupons that the cases redeem. The caps are too high to be reached in a run.
SELECT to_regclass('guard.coupon') IS NOT NULL AS is_there \gset
\if :is_there
TRUNCATE guard.coupon_redemption, guard.coupon, guard.campaign, guard.coupon_shard, guard.coupon_transfer CASCADE; -- and the orders of a case that refers to them
\endif
DROP SCHEMA IF EXISTS guard CASCADE;
CREATE SCHEMA guard;
CREATE EXTENSION coupon_guard SCHEMA guard;
INSERT INTO guard.coupon (code) VALUES ('UNCAPPED');
INSERT INTO guard.coupon (code, max_redemptions) VALUES ('CAPPED', 1000000000);
ANALYZE guard.coupon;
