-- 1,000 capped coupons, with the codes 1 to 1000, in the extension's tables.
INSERT INTO guard.coupon (code, max_redemptions) SELECT number::text, 1000000000 FROM generate_series(1, 1000) number;
ANALYZE guard.coupon;
