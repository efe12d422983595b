-- The transaction stays open for 10 ms: whoever waits for its lock waits as long. Here: the bare row.
\set customer random(1, 1000000000000)
BEGIN;
INSERT INTO bare.ledger (coupon_id, user_id, use_no) VALUES (1, :customer, 1) ON CONFLICT DO NOTHING;
SELECT pg_sleep(0.01);
COMMIT;
