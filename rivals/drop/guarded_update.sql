-- used = used + 1 WHERE used < max and the insert, in one statement
--
-- The lock on the coupon's row is held no longer than the commit takes. No foreign key, so the row is locked once.

-- [rules]
ALTER TABLE redemption ADD UNIQUE (coupon_id, user_id);

-- [redeem]
WITH unit AS (
  UPDATE coupon SET used = used + 1 WHERE code = :code AND used < max_redemptions RETURNING id
)
INSERT INTO redemption (coupon_id, user_id) SELECT id, :user FROM unit ON CONFLICT DO NOTHING RETURNING id AS redemption_id;

-- [broken]
SELECT count(*) FROM coupon c WHERE used <> (SELECT count(*) FROM redemption WHERE coupon_id = c.id);
