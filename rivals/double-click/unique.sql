-- insert at once; a unique index answers 23505 to the second
--
-- One statement, which commits by itself. In a larger transaction the error would have aborted all of it.

-- [rules]
CREATE UNIQUE INDEX ON redemption (coupon_id, user_id);

-- [redeem]
INSERT INTO redemption (coupon_id, user_id) SELECT id, :user FROM coupon WHERE code = :code RETURNING id AS redemption_id;
