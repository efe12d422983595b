-- The transaction stays open for 10 ms, and holds the lock on the balance as long.
\set amount random(1, 5000)
BEGIN;
UPDATE coupon SET balance = balance - :amount WHERE code = :code AND balance >= :amount RETURNING id AS coupon_id \gset
INSERT INTO redemption (coupon_id, user_id, amount) VALUES (:coupon_id, :user, :amount);
SELECT pg_sleep(0.01);
COMMIT;
