-- Amounts and budgets: what a redemption is worth, and what a coupon may give in all.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, budget, max_per_user) VALUES ('GIFT', 5000, NULL);
INSERT INTO coupon (code, budget, max_redemptions) VALUES ('BOTH', 100, 3);
INSERT INTO coupon (code) VALUES ('PLAIN');
CREATE VIEW money AS SELECT code, redeemed, held, budget, redeemed_amount, held_amount, remaining_budget FROM coupon_usage ORDER BY coupon_id;

-- A gift card: the whole amount, or how much is left; or as much as there is.
SELECT status, amount FROM redeem_coupon(1, 'GIFT', amount => 3000);
SELECT status, redemption_id, amount FROM redeem_coupon(1, 'GIFT', amount => 3000);
SELECT status, amount FROM check_coupon(1, 'GIFT'), LATERAL (SELECT remaining_budget AS amount) AS left_over;
SELECT status, amount FROM redeem_coupon(1, 'GIFT', amount => 3000, up_to => true);
SELECT status, amount FROM redeem_coupon(1, 'GIFT', amount => 1);
SELECT status, amount FROM redeem_coupon(1, 'GIFT', amount => 1, up_to => true);
SELECT status, remaining_budget FROM check_coupon(1, 'GIFT');
-- Topping up is raising the budget.
UPDATE coupon SET budget = budget + 100 WHERE code = 'GIFT';
SELECT status, amount FROM redeem_coupon(1, 'GIFT', 60, '{"order": 7}', 'r60', false);
SELECT * FROM money WHERE code = 'GIFT';
-- The statement of the card is a query over the ledger.
SELECT row_number() OVER (ORDER BY id), amount, sum(amount) OVER (ORDER BY id) FROM coupon_redemption ORDER BY id;

-- What goes without saying goes on as it was.
SELECT status, replayed FROM redeem_coupon(20, 'PLAIN', 'r20'), void_redemption(redemption_id, NULL) AS void;
SELECT status, replayed FROM redeem_coupon(20, 'PLAIN', 'r20', '{"a": 1}');
SELECT status FROM redeem_coupon('20', 'PLAIN', NULL, '{}'), LATERAL hold_coupon('21', 'PLAIN', '1 hour') AS h (status_of_hold), LATERAL hold_coupon('22', 'PLAIN', '1 hour', 'r22', '{}') AS h2 (status_of_hold);
DELETE FROM coupon_redemption WHERE user_id IN ('20', '21', '22');

-- As errors
\set VERBOSITY sqlstate
SELECT status FROM redeem_coupon_strict(1, 'GIFT', amount => 41);
SELECT status FROM redeem_coupon(1, 'GIFT');
SELECT status FROM redeem_coupon(1, 'GIFT', amount => 0);
SELECT status FROM redeem_coupon(1, 'GIFT', amount => -5);
SELECT status FROM hold_coupon(1, 'GIFT', '1 hour', amount => -5);
SELECT status FROM redeem_coupon(1, 'GIFT', amount => 9223372036854775808);
SELECT status, amount FROM redeem_coupon(1, 'GIFT', amount => 9223372036854775807);
SELECT status FROM redeem_coupons(1, '{GIFT}');
INSERT INTO coupon (code, budget) VALUES ('NONE', 0);
\set VERBOSITY terse

\set VERBOSITY default
SELECT status FROM redeem_coupon_strict(1, 'GIFT', amount => 41);
BEGIN;
UPDATE coupon SET budget = 5060 WHERE code = 'GIFT';
SELECT status FROM redeem_coupon_strict(1, 'GIFT', amount => 41);
ROLLBACK;
\set VERBOSITY terse

-- A coupon without a budget: the amount is noted.
SELECT status, amount FROM redeem_coupon(1, 'PLAIN', amount => 700);
SELECT status, amount FROM redeem_coupon(2, 'PLAIN');
SELECT * FROM money WHERE code = 'PLAIN';

-- Cap and budget at once
SELECT i, status, amount FROM generate_series(1, 4) AS i, redeem_coupon(i, 'BOTH', amount => 40);
UPDATE coupon SET budget = 130 WHERE code = 'BOTH';
SELECT i, status, amount FROM generate_series(3, 4) AS i, redeem_coupon(i, 'BOTH', amount => 40);
SELECT status, amount FROM redeem_coupon(5, 'BOTH', amount => 5);
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '1' AND amount = 40;
SELECT status, amount FROM redeem_coupon(5, 'BOTH', amount => 51);
SELECT status, amount FROM redeem_coupon(5, 'BOTH', amount => 50);
SELECT * FROM money WHERE code = 'BOTH';
UPDATE coupon SET budget = 129 WHERE code = 'BOTH';
UPDATE coupon SET budget = NULL WHERE code = 'BOTH';
UPDATE coupon SET budget = 129 WHERE code = 'BOTH';
UPDATE coupon SET budget = 130 WHERE code = 'BOTH';
SELECT * FROM coupon_guard_verify();

-- A request id: the amount that was made then
SELECT status, amount, replayed FROM redeem_coupon(7, 'GIFT', 10, request_id => 'r1');
SELECT status, amount, replayed FROM redeem_coupon(7, 'GIFT', 20, request_id => 'r1');

-- Holds: confirmed for less, the rest comes back.
SELECT status, amount FROM hold_coupon(8, 'GIFT', '1 hour', request_id => 'h1', amount => 31);
SELECT status, amount FROM hold_coupon(8, 'GIFT', '1 hour', request_id => 'h1', amount => 30);
SELECT status, amount FROM hold_coupon(8, 'GIFT', '1 hour', request_id => 'h1', amount => 10);
SELECT status, amount FROM confirm_hold(currval('coupon_redemption_id_seq'), 31);
SELECT status, amount FROM confirm_hold(currval('coupon_redemption_id_seq'), 12);
SELECT status, amount, replayed FROM confirm_hold(currval('coupon_redemption_id_seq'), 11);
SELECT status, amount FROM hold_coupon(9, 'GIFT', '1 hour', request_id => 'h2', amount => 15);
SELECT status, amount FROM redeem_coupon(9, 'GIFT', 5, request_id => 'h2');
SELECT status, amount FROM hold_coupon(10, 'GIFT', '1 hour', amount => 5);
SELECT status, amount FROM redeem_coupon(10, 'GIFT');
SELECT * FROM money WHERE code = 'GIFT';

-- An expired hold is the next buyer's, with its amount and its unit.
SELECT status, amount FROM hold_coupon(11, 'GIFT', '1 hour', amount => 8);
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL;
SELECT status, remaining_budget FROM check_coupon(12, 'GIFT');
SELECT status, amount FROM redeem_coupon(12, 'GIFT', amount => 9);
SELECT status, amount FROM redeem_coupon(12, 'GIFT', amount => 7);
SELECT * FROM money WHERE code = 'GIFT';
INSERT INTO coupon (code, budget, max_redemptions, max_per_user) VALUES ('TWO', 100, 2, NULL);
SELECT status, amount FROM generate_series(1, 2) AS i, hold_coupon(i, 'TWO', '1 hour', amount => 30);
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL;
SELECT status, amount FROM redeem_coupon(3, 'TWO', amount => 70);
SELECT status, amount FROM redeem_coupon(4, 'TWO', amount => 30);
SELECT status, amount FROM redeem_coupon(5, 'TWO', amount => 1);
SELECT * FROM money WHERE code = 'TWO';
SELECT * FROM coupon_guard_verify();
-- A budget that is lowered needs part of one: the rest of it is left.
INSERT INTO coupon (code, budget) VALUES ('LESS', 100);
SELECT status, amount FROM hold_coupon(1, 'LESS', '1 hour', amount => 90);
SELECT status, amount FROM redeem_coupon(2, 'LESS', amount => 10);
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL;
UPDATE coupon SET budget = 80 WHERE code = 'LESS';
SELECT * FROM money WHERE code = 'LESS';
SELECT * FROM coupon_guard_verify();
SELECT status, amount FROM redeem_coupon(3, 'LESS', amount => 70);
-- One that another request of the user placed is ended for the use number; what it had is left.
INSERT INTO coupon (code, budget) VALUES ('LAPSED', 100);
SELECT status, amount FROM hold_coupon(1, 'LAPSED', '1 hour', request_id => 'first', amount => 90);
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL;
SELECT status, amount FROM redeem_coupon(1, 'LAPSED', 10, request_id => 'second');
SELECT * FROM money WHERE code = 'LAPSED';
SELECT * FROM coupon_guard_verify();
SELECT status, amount FROM redeem_coupon(2, 'LAPSED', amount => 90);

-- Given back in parts, void when nothing is left
SELECT void_redemption(1, 1000, 'part');
SELECT void_redemption(1, 2001, 'more than there is');
SELECT amount, voided_at, void_reason FROM coupon_redemption WHERE id = 1;
SELECT void_redemption(1, 2000, 'the rest'), void_redemption(1, 1, 'again'), void_redemption(2);
SELECT amount, voided_at IS NOT NULL AS is_voided, void_reason FROM coupon_redemption WHERE id = 1;
SELECT void_redemption(id, amount => 1) FROM coupon_redemption WHERE user_id = '2' AND coupon_id = 3;
SELECT * FROM money WHERE code = 'GIFT';

-- Plain SQL is followed.
DELETE FROM coupon_redemption WHERE user_id = '12';
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, amount) VALUES (1, 'import', 1, 500);
UPDATE coupon_redemption SET amount = amount + 10 WHERE user_id = 'import';
UPDATE coupon_redemption SET amount = amount + 5100 WHERE user_id = 'import';
UPDATE coupon_redemption SET coupon_id = 3 WHERE user_id = 'import';
UPDATE coupon_redemption SET coupon_id = 1 WHERE user_id = 'import';
UPDATE coupon_redemption SET amount = NULL WHERE user_id = 'import';
UPDATE coupon_redemption SET amount = 0 WHERE user_id = 'import';
SELECT * FROM money WHERE code = 'GIFT';
SELECT * FROM coupon_guard_verify();
-- A budget given later counts what is there.
UPDATE coupon SET budget = 699 WHERE code = 'PLAIN';
UPDATE coupon SET budget = 701 WHERE code = 'PLAIN';
SELECT status, amount FROM redeem_coupon(3, 'PLAIN', amount => 2);
SELECT status, amount FROM redeem_coupon(3, 'PLAIN', amount => 1);
SELECT * FROM coupon_guard_verify();

-- While triggers are not in force, the ledger is counted.
ALTER TABLE coupon_redemption DISABLE TRIGGER USER;
UPDATE coupon SET budget = 710 WHERE code = 'PLAIN';
SELECT status, amount FROM redeem_coupon(4, 'PLAIN', amount => 10);
SELECT status, amount FROM redeem_coupon(4, 'PLAIN', amount => 10, up_to => true);
SELECT status, amount FROM redeem_coupon(5, 'PLAIN', amount => 1);
SELECT void_redemption(id, amount => 4) FROM coupon_redemption WHERE coupon_id = 3 AND user_id = '4';
SELECT status, amount FROM redeem_coupon(5, 'PLAIN', amount => 4);
-- What a hold had beyond the amount is counted like all else, and so is a unit that was not needed.
INSERT INTO coupon (code, budget, max_redemptions, max_per_user) VALUES ('COUNTED', 100, 4, NULL), ('LAST', 100, 1, NULL);
SELECT status, amount FROM hold_coupon(1, 'COUNTED', '1 hour', amount => 90);
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL;
BEGIN;
SELECT status, amount FROM redeem_coupon(2, 'COUNTED', amount => 15);
SELECT status, amount FROM redeem_coupon(2, 'COUNTED', amount => 86);
SELECT status, amount FROM redeem_coupon(2, 'COUNTED', amount => 85);
SELECT status, amount FROM redeem_coupon(2, 'LAST', amount => 101);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, amount) SELECT id, '3', 1, 1 FROM coupon WHERE code = 'LAST';
SELECT status, amount FROM redeem_coupon(2, 'LAST', amount => 1);
COMMIT;
SELECT * FROM money WHERE code IN ('COUNTED', 'LAST');
ALTER TABLE coupon_redemption ENABLE ALWAYS TRIGGER coupon_redemption_follow_change, ENABLE ALWAYS TRIGGER coupon_redemption_follow_truncate;
SELECT * FROM coupon_guard_verify();

DROP VIEW money;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
