-- The counter in the coupon's row, in one statement: the row's lock is held no longer than the commit takes.
-- No foreign key, so the row is locked once.
\set customer random(1, 1000000000000)
WITH unit AS (
  UPDATE no_foreign_key.coupon SET used = used + 1 WHERE code = 'CAPPED' AND used < max_redemptions RETURNING id
)
INSERT INTO no_foreign_key.redemption (coupon_id, user_id) SELECT id, :customer FROM unit ON CONFLICT DO NOTHING;
