-- void_redemption gives a redemption back, once: the row stays, marked; the unit and the user's use can be had again.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code, max_redemptions, max_per_user) VALUES (1, 'TWO', 2, 1), (2, 'FREE', NULL, 3), (3, 'ONE', 1, 1);
SELECT status, redemption_id FROM redeem_coupon(1, 'TWO');
SELECT status, redemption_id FROM redeem_coupon(2, 'TWO');
SELECT status FROM redeem_coupon(3, 'TWO');

SELECT void_redemption(1, 'order cancelled');
SELECT void_redemption(1, 'once more');
SELECT id, voided_at BETWEEN redeemed_at AND clock_timestamp() AS voided_now, void_reason FROM coupon_redemption ORDER BY id;
SELECT status FROM redeem_coupon(3, 'TWO');
SELECT status FROM redeem_coupon(1, 'TWO');
SELECT void_redemption(2);
SELECT void_reason IS NULL FROM coupon_redemption WHERE id = 2;
SELECT status, use_no FROM redeem_coupon(1, 'TWO');
SELECT redeemed, held, voided, remaining_units FROM coupon_usage WHERE code = 'TWO';
SELECT * FROM coupon_guard_verify();

-- Misuse
SELECT void_redemption(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT void_redemption(4711);
\echo :LAST_ERROR_SQLSTATE
SELECT void_redemption(-1);
BEGIN READ ONLY;
SELECT void_redemption(3);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- A use number that was given back is used again; the limit per user counts what is live.
SELECT r.status, r.use_no FROM generate_series(1, 4) i, LATERAL redeem_coupon(1 + 0 * i, 'FREE') r;
SELECT void_redemption(id) FROM coupon_redemption WHERE coupon_id = 2 AND use_no = 2;
SELECT status, use_no FROM redeem_coupon(1, 'FREE');
SELECT status FROM redeem_coupon(1, 'FREE');
SELECT count(void_redemption(id)) FROM coupon_redemption WHERE coupon_id = 2;
SELECT status, use_no FROM redeem_coupon(1, 'FREE');
SELECT redeemed, voided, remaining_units FROM coupon_usage WHERE code = 'FREE';

-- In the same transaction as the redemption, in savepoints, and in one statement
BEGIN;
SELECT redemption_id FROM redeem_coupon(1, 'ONE') \gset
SELECT status FROM redeem_coupon(2, 'ONE');
SAVEPOINT s;
SELECT void_redemption(:redemption_id);
SELECT status FROM redeem_coupon(2, 'ONE');
ROLLBACK TO s;
SELECT status FROM redeem_coupon(2, 'ONE');
SELECT void_redemption(:redemption_id), void_redemption(:redemption_id);
SELECT status FROM redeem_coupon(2, 'ONE');
COMMIT;
SELECT user_id, voided_at IS NOT NULL AS is_voided FROM coupon_redemption WHERE coupon_id = 3 ORDER BY id;
SELECT void_redemption(r.redemption_id) FROM redeem_coupon(5, 'FREE') r;
-- A rolled back void has not happened.
BEGIN;
SELECT void_redemption(id) FROM coupon_redemption WHERE coupon_id = 3 AND voided_at IS NULL;
ROLLBACK;
SELECT status FROM redeem_coupon(3, 'ONE');
SELECT * FROM coupon_guard_verify();

-- Whatever has become of the coupon
UPDATE coupon SET active = false, expires_at = '2001-01-01' WHERE code = 'ONE';
SELECT void_redemption(id) FROM coupon_redemption WHERE coupon_id = 3 AND voided_at IS NULL;
SELECT remaining_units FROM coupon_usage WHERE code = 'ONE';
UPDATE coupon SET active = true, expires_at = NULL WHERE code = 'ONE';
SELECT status FROM redeem_coupon(3, 'ONE');
-- A coupon whose redemptions are all void still has redemptions.
SELECT void_redemption(id) FROM coupon_redemption WHERE coupon_id = 3 AND voided_at IS NULL;
DELETE FROM coupon WHERE code = 'ONE';
-- All of a coupon at once
INSERT INTO coupon (id, code, max_redemptions) VALUES (4, 'MANY', 1000);
SELECT r.status, count(*) FROM generate_series(1, 1000) buyer(id), LATERAL redeem_coupon(buyer.id, 'MANY') r GROUP BY 1;
SELECT void_redemption(l.id) AS voided, count(*) FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id WHERE c.code = 'MANY' GROUP BY 1;
SELECT redeemed, voided, remaining_units FROM coupon_usage WHERE code = 'MANY';
SELECT r.status, count(*) FROM generate_series(1, 1001) buyer(id), LATERAL redeem_coupon(buyer.id, 'MANY') r GROUP BY 1 ORDER BY 1;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
