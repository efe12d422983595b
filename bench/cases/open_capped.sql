-- The transaction stays open for 10 ms: whoever waits for its lock waits as long. Here: one hot capped coupon.
\set customer random(1, 1000000000000)
BEGIN;
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, 'CAPPED');
SELECT pg_sleep(0.01);
COMMIT;
