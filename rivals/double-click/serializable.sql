-- look, then insert, under SERIALIZABLE; again after 40001
--
-- Of two requests that both look before either inserts, one is rolled back, and must be repeated.

-- [rules]
CREATE INDEX ON redemption (coupon_id, user_id);

-- [redeem]
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT id AS coupon_id FROM coupon WHERE code = :code \gset
SELECT count(*) FROM redemption WHERE coupon_id = :coupon_id AND user_id = :user HAVING count(*) = 0;
-- think
INSERT INTO redemption (coupon_id, user_id) VALUES (:coupon_id, :user) RETURNING id AS redemption_id;
COMMIT;
