-- the same without the foreign key

-- [rules]
ALTER TABLE redemption ADD UNIQUE (coupon_id, user_id);

-- [redeem]
BEGIN;
INSERT INTO redemption (coupon_id, user_id) SELECT id, :user FROM coupon WHERE code = :code
ON CONFLICT DO NOTHING RETURNING id AS redemption_id;
UPDATE coupon SET used = used + 1 WHERE code = :code AND used < max_redemptions RETURNING used;
COMMIT;

-- [broken]
SELECT count(*) FROM coupon c WHERE used <> (SELECT count(*) FROM redemption WHERE coupon_id = c.id);
