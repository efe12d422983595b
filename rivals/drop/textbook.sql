-- insert (foreign key, unique index), then used = used + 1 WHERE used < max
--
-- As an object-relational mapper's counter cache does. The foreign key shares the coupon's row with everybody, then the
-- counter in it wants it alone.

-- [rules]
ALTER TABLE redemption ADD UNIQUE (coupon_id, user_id), ADD FOREIGN KEY (coupon_id) REFERENCES coupon;

-- [redeem]
BEGIN;
INSERT INTO redemption (coupon_id, user_id) SELECT id, :user FROM coupon WHERE code = :code
ON CONFLICT DO NOTHING RETURNING id AS redemption_id;
UPDATE coupon SET used = used + 1 WHERE code = :code AND used < max_redemptions RETURNING used;
COMMIT;

-- [broken]
SELECT count(*) FROM coupon c WHERE used <> (SELECT count(*) FROM redemption WHERE coupon_id = c.id);
