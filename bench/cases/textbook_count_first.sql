-- As textbook.sql, the other way round: the counter, whose lock others queue for, then the row.
\set customer random(1, 1000000000000)
BEGIN;
UPDATE textbook.coupon SET used = used + 1 WHERE code = 'CAPPED' AND used < max_redemptions;
INSERT INTO textbook.redemption (coupon_id, user_id) SELECT id, :customer FROM textbook.coupon WHERE code = 'CAPPED'
ON CONFLICT DO NOTHING;
COMMIT;
