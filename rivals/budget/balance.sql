-- balance = balance - amount WHERE balance >= amount, then insert
--
-- Whoever redeems has the coupon's row until the transaction ends: all others wait for it.

-- [rules]
ALTER TABLE coupon ADD budget bigint NOT NULL, ADD balance bigint NOT NULL;
ALTER TABLE redemption ADD amount bigint NOT NULL;
CREATE INDEX ON redemption (coupon_id);

-- [coupon]
INSERT INTO coupon (code, budget, balance) VALUES (:code, :budget, :budget);

-- [redeem]
BEGIN;
UPDATE coupon SET balance = balance - :amount WHERE code = :code AND balance >= :amount RETURNING id AS coupon_id \gset
INSERT INTO redemption (coupon_id, user_id, amount) VALUES (:coupon_id, :user, :amount) RETURNING id AS redemption_id;
COMMIT;

-- [ledger]
SELECT r.id AS redemption_id, r.user_id::bigint AS user_id, r.amount
FROM redemption r JOIN coupon c ON c.id = r.coupon_id WHERE c.code = :code;

-- [broken]
SELECT count(*) FROM coupon c
WHERE balance <> budget - (SELECT coalesce(sum(amount), 0) FROM redemption WHERE coupon_id = c.id);
