-- The transaction stays open for 10 ms, and holds the lock on the counter as long.
BEGIN;
UPDATE coupon SET used = used + 1 WHERE code = :code AND used < max_redemptions;
INSERT INTO redemption (coupon_id, user_id) SELECT id, :user FROM coupon WHERE code = :code ON CONFLICT DO NOTHING;
SELECT pg_sleep(0.01);
COMMIT;
