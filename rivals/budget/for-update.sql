-- lock the coupon's row, add up what was redeemed, then insert

-- [rules]
ALTER TABLE coupon ADD budget bigint NOT NULL;
ALTER TABLE redemption ADD amount bigint NOT NULL;
CREATE INDEX ON redemption (coupon_id);

-- [coupon]
INSERT INTO coupon (code, budget) VALUES (:code, :budget);

-- [redeem]
BEGIN;
SELECT id AS coupon_id, budget FROM coupon WHERE code = :code FOR UPDATE \gset
SELECT sum(amount) FROM redemption WHERE coupon_id = :coupon_id HAVING coalesce(sum(amount), 0) + :amount <= :budget;
INSERT INTO redemption (coupon_id, user_id, amount) VALUES (:coupon_id, :user, :amount) RETURNING id AS redemption_id;
COMMIT;

-- [ledger]
SELECT r.id AS redemption_id, r.user_id::bigint AS user_id, r.amount
FROM redemption r JOIN coupon c ON c.id = r.coupon_id WHERE c.code = :code;
