-- used = used + 1 WHERE used < max, then insert (foreign key, unique index)
--
-- As textbook.sql, the other way round: the counter, whose lock others queue for, then the row.

-- [rules]
ALTER TABLE redemption ADD UNIQUE (coupon_id, user_id), ADD FOREIGN KEY (coupon_id) REFERENCES coupon;

-- [redeem]
BEGIN;
UPDATE coupon SET used = used + 1 WHERE code = :code AND used < max_redemptions RETURNING used;
INSERT INTO redemption (coupon_id, user_id) SELECT id, :user FROM coupon WHERE code = :code
ON CONFLICT DO NOTHING RETURNING id AS redemption_id;
COMMIT;

-- [broken]
SELECT count(*) FROM coupon c WHERE used <> (SELECT count(*) FROM redemption WHERE coupon_id = c.id);
