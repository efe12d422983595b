-- Look whether the customer has used it, insert; once per user is left to SERIALIZABLE, no cap. 40001 is retried.
\set customer random(1, 1000000000000)
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT id, max_redemptions FROM no_foreign_key.coupon WHERE code = 'CAPPED';
SELECT id FROM no_foreign_key.redemption WHERE coupon_id = 1 AND user_id = :customer;
INSERT INTO no_foreign_key.redemption (coupon_id, user_id) VALUES (1, :customer);
COMMIT;
