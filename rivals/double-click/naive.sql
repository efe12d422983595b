-- look, then insert, under READ COMMITTED
--
-- Between the look and the insert another request may look too. Nothing keeps both from inserting.

-- [rules]
CREATE INDEX ON redemption (coupon_id, user_id);

-- [redeem]
BEGIN;
SELECT id AS coupon_id FROM coupon WHERE code = :code \gset
SELECT count(*) FROM redemption WHERE coupon_id = :coupon_id AND user_id = :user HAVING count(*) = 0;
-- think
INSERT INTO redemption (coupon_id, user_id) VALUES (:coupon_id, :user) RETURNING id AS redemption_id;
COMMIT;
