-- A coupon with a budget, in the extension's tables. It is too high to be spent in a run.
INSERT INTO guard.coupon (code, budget) VALUES ('BUDGET', 1000000000000000);
ANALYZE guard.coupon;
