-- lock the coupon's row, look, then insert
--
-- The other request cannot look yet; nor can anybody else who wants this coupon.

-- [rules]
CREATE INDEX ON redemption (coupon_id, user_id);

-- [redeem]
BEGIN;
SELECT id AS coupon_id FROM coupon WHERE code = :code FOR UPDATE \gset
SELECT count(*) FROM redemption WHERE coupon_id = :coupon_id AND user_id = :user HAVING count(*) = 0;
-- think
INSERT INTO redemption (coupon_id, user_id) VALUES (:coupon_id, :user) RETURNING id AS redemption_id;
COMMIT;
