-- A request id makes a retry harmless: the same user and request id get the first answer again, whatever has happened since.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code, max_redemptions, max_per_user, terms) VALUES (1, 'TWO', 2, 1, '{"off": 10}'), (2, 'ANY', NULL, NULL, NULL);
SELECT status, redemption_id, coupon_id, use_no, terms, replayed FROM redeem_coupon(1, 'TWO', 'r-1', '{"order": 1}');
SELECT status, redemption_id, coupon_id, use_no, terms, replayed FROM redeem_coupon(1, 'TWO', 'r-1', '{"order": 2}');
SELECT metadata FROM coupon_redemption;
-- Typed in another way it is the same code; without request id, or with another one, it is another request.
SELECT status, redemption_id, replayed FROM redeem_coupon(1, ' two ', 'r-1');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'TWO');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'TWO', 'r-2');
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'TWO', 'R-1');
-- A refusal is not kept: the request id may be used when things have changed.
UPDATE coupon SET max_per_user = 2 WHERE id = 1;
SELECT status, redemption_id, use_no, replayed FROM redeem_coupon(1, 'TWO', 'r-2');
SELECT status, redemption_id, use_no, replayed FROM redeem_coupon(1, 'TWO', 'r-1');
-- A request id is the user's own.
SELECT status FROM redeem_coupon(2, 'TWO', 'r-1');
SELECT status, replayed FROM redeem_coupon(2, 'ANY', 'r-1');

-- Sold out (now), expired, deactivated, not started, renamed, another code typed: the first answer
SELECT status, replayed FROM redeem_coupon(1, 'TWO', 'r-1');
UPDATE coupon SET expires_at = '2001-01-01' WHERE id = 1;
SELECT status, replayed FROM redeem_coupon(1, 'TWO', 'r-1');
UPDATE coupon SET active = false, expires_at = NULL, starts_at = '2101-01-01' WHERE id = 1;
SELECT status, replayed FROM redeem_coupon(1, 'TWO', 'r-1');
SELECT status, replayed FROM redeem_coupon_strict(1, 'TWO', 'r-1');
UPDATE coupon SET code = 'RENAMED' WHERE id = 1;
SELECT status, redemption_id, coupon_id, terms, replayed FROM redeem_coupon(1, 'TWO', 'r-1');
UPDATE coupon SET code = 'TWO', active = true, starts_at = NULL WHERE id = 1;
-- Voided: what was answered was answered; the row says the rest.
SELECT void_redemption(1);
SELECT status, redemption_id, replayed FROM redeem_coupon(1, 'TWO', 'r-1');
SELECT status, redemption_id, use_no, replayed FROM redeem_coupon(1, 'TWO', 'r-3');
SELECT * FROM coupon_guard_verify();

-- With another coupon
SELECT status FROM redeem_coupon(1, 'ANY', 'r-1');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM hold_coupon(1, 'ANY', request_id => 'r-1');
\echo :LAST_ERROR_SQLSTATE

-- What a request id may be
SELECT status FROM redeem_coupon(1, 'ANY', '');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(1, 'ANY', repeat('x', 256));
\echo :LAST_ERROR_SQLSTATE
SELECT status, replayed FROM redeem_coupon(1, 'ANY', repeat('x', 255));
SELECT status, replayed FROM redeem_coupon(1, 'ANY', repeat('x', 255));
SELECT status, replayed FROM redeem_coupon(1, 'ANY', NULL);
SELECT status, replayed FROM redeem_coupon(1, 'ANY', ' ');
SELECT status, use_no FROM redeem_coupon(1, 'ANY');

-- A hold and its redemption under one request id: one row
SELECT status, use_no, replayed FROM hold_coupon(7, 'ANY', request_id => 'h-1');
SELECT status, use_no, replayed FROM hold_coupon(7, 'ANY', request_id => 'h-1');
SELECT status, use_no, replayed FROM redeem_coupon(7, 'ANY', 'h-1');
SELECT status, use_no, replayed FROM redeem_coupon(7, 'ANY', 'h-1');
SELECT status, use_no, hold_expires_at, replayed FROM hold_coupon(7, 'ANY', request_id => 'h-1');
SELECT user_id, use_no, hold_expires_at, request_id FROM coupon_redemption WHERE user_id = '7';
-- Held under one, redeemed under another: the hold is the first one's, and the other gets a use of its own, where the limit allows.
SELECT status FROM hold_coupon(8, 'ANY', request_id => 'h-1');
SELECT status, replayed FROM redeem_coupon(8, 'ANY', 'r-1');
SELECT status, replayed FROM redeem_coupon(8, 'ANY', 'r-1');
SELECT use_no, hold_expires_at IS NOT NULL AS is_hold, request_id FROM coupon_redemption WHERE user_id = '8' ORDER BY use_no;
-- A hold that expired, or was voided, is not placed again by a retry.
SELECT status, redemption_id FROM hold_coupon(9, 'ANY', request_id => 'h-1') \gset
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = '9';
SELECT status, hold_expires_at, replayed FROM hold_coupon(9, 'ANY', request_id => 'h-1');
SELECT status, redemption_id, replayed FROM redeem_coupon(9, 'ANY', 'h-1');
SELECT void_redemption(:redemption_id);
SELECT status, replayed FROM hold_coupon(9, 'ANY', request_id => 'h-1');

-- Rolled back, it was never used.
BEGIN;
SELECT status, replayed FROM redeem_coupon(5, 'ANY', 'r-1');
SELECT status, replayed FROM redeem_coupon(5, 'ANY', 'r-1');
ROLLBACK;
SELECT status, replayed FROM redeem_coupon(5, 'ANY', 'r-1');
SELECT count(*) FROM coupon_redemption WHERE user_id = '5';
-- Not found stays not found: nothing is known under this request id.
SELECT status, replayed FROM redeem_coupon(5, 'NOSUCH', 'r-9');
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
