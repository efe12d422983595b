-- The transaction stays open for 10 ms, and holds the lock on the counter as long.
\set customer random(1, 1000000000000)
BEGIN;
UPDATE no_foreign_key.coupon SET used = used + 1 WHERE code = 'CAPPED' AND used < max_redemptions;
INSERT INTO no_foreign_key.redemption (coupon_id, user_id) VALUES (1, :customer) ON CONFLICT DO NOTHING;
SELECT pg_sleep(0.01);
COMMIT;
