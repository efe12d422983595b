-- Lock the coupon's row, look whether the customer has used it, insert.
\set customer random(1, 1000000000000)
BEGIN;
SELECT id, used, max_redemptions FROM no_foreign_key.coupon WHERE code = 'CAPPED' FOR UPDATE;
SELECT id FROM no_foreign_key.redemption WHERE coupon_id = 1 AND user_id = :customer;
INSERT INTO no_foreign_key.redemption (coupon_id, user_id) VALUES (1, :customer);
COMMIT;
