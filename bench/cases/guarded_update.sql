-- The counter in the coupon's row; no foreign key, so the row is locked once.
\set customer random(1, 1000000000000)
BEGIN;
UPDATE no_foreign_key.coupon SET used = used + 1 WHERE code = 'CAPPED' AND used < max_redemptions;
INSERT INTO no_foreign_key.redemption (coupon_id, user_id)
SELECT id, :customer FROM no_foreign_key.coupon WHERE code = 'CAPPED'
ON CONFLICT DO NOTHING;
COMMIT;
