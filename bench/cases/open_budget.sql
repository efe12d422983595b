-- The transaction stays open for 10 ms: whoever waits for its lock waits as long. Here: one hot budget.
\set customer random(1, 1000000000000)
\set amount random(1, 5000)
BEGIN;
SELECT status, redemption_id, amount FROM guard.redeem_coupon(:customer, 'BUDGET', amount => :amount);
SELECT pg_sleep(0.01);
COMMIT;
