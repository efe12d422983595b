-- A coupon with a holder: nobody else may redeem it.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, holder) VALUES ('MINE', '7'), ('ANY', NULL);
SELECT i, status FROM generate_series(6, 8) AS i, redeem_coupon(i, 'MINE');
SELECT i, status FROM generate_series(6, 8) AS i, check_coupon(i, 'MINE');
SELECT code, status FROM redeem_coupons(8, '{ANY,MINE}');
\set VERBOSITY sqlstate
SELECT status FROM redeem_coupon_strict(8, 'MINE');
INSERT INTO coupon (code, holder) VALUES ('EMPTY', '');
\set VERBOSITY terse
-- Other reasons come first.
UPDATE coupon SET active = false WHERE code = 'MINE';
SELECT status FROM redeem_coupon(8, 'MINE');
UPDATE coupon SET active = true, holder = '8' WHERE code = 'MINE';
SELECT status FROM redeem_coupon(8, 'MINE');
SELECT status FROM redeem_coupon(7, 'MINE');
-- A hold that was placed while it could be is honoured.
SELECT status FROM hold_coupon(5, 'ANY');
UPDATE coupon SET holder = '6' WHERE code = 'ANY';
SELECT status FROM hold_coupon(4, 'ANY');
SELECT status FROM redeem_coupon(5, 'ANY');
-- The holder is spelled as the ledger spells users; what nobody can be is found.
UPDATE coupon SET holder = '006' WHERE code = 'ANY';
SELECT status FROM redeem_coupon(6, 'ANY');
SELECT invariant, coupon_id, user_id FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
