-- The row, whose foreign key shares the coupon's row with everybody, then the counter in it.
\set customer random(1, 1000000000000)
BEGIN;
INSERT INTO textbook.redemption (coupon_id, user_id) SELECT id, :customer FROM textbook.coupon WHERE code = 'CAPPED'
ON CONFLICT DO NOTHING;
UPDATE textbook.coupon SET used = used + 1 WHERE code = 'CAPPED' AND used < max_redemptions;
COMMIT;
