-- count, then insert, under SERIALIZABLE; again after 40001

-- [rules]
ALTER TABLE redemption ADD UNIQUE (coupon_id, user_id);

-- [redeem]
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT id AS coupon_id, max_redemptions FROM coupon WHERE code = :code \gset
SELECT count(*) FROM redemption WHERE coupon_id = :coupon_id HAVING count(*) < :max_redemptions;
INSERT INTO redemption (coupon_id, user_id) VALUES (:coupon_id, :user) RETURNING id AS redemption_id;
COMMIT;
