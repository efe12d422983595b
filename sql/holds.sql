-- A hold keeps a unit for its user until a deadline; it never stands in its own user's way, and once expired in nobody's.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code, max_redemptions, max_per_user, terms) VALUES (1, 'ONE', 1, 1, '{"off": 10}'), (2, 'FREE', NULL, 2, NULL), (3, 'TEN', 10, 1, NULL);
-- Time passes: the deadlines of all holds are over.
CREATE PROCEDURE pg_temp.let_holds_expire() LANGUAGE sql AS $$ UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL $$;
CREATE PROCEDURE pg_temp.begin_anew() LANGUAGE sql AS $$ TRUNCATE coupon_redemption RESTART IDENTITY $$;
CREATE VIEW one AS SELECT redeemed, held, voided, remaining_units FROM coupon_usage WHERE code = 'ONE';

-- Held: for 15 minutes unless told otherwise
SELECT status, redemption_id, coupon_id, use_no, hold_expires_at - clock_timestamp() BETWEEN '0:10:00' AND '0:15:00' AS deadline, terms, replayed FROM hold_coupon(1, 'ONE');
SELECT hold_expires_at - redeemed_at AS ttl FROM coupon_redemption;
SELECT * FROM one;
SELECT status FROM redeem_coupon(2, 'ONE');
SELECT status, hold_expires_at FROM hold_coupon(2, 'ONE');
-- Once more: the hold there is, with its deadline as it was
SELECT status, redemption_id, hold_expires_at = (SELECT hold_expires_at FROM coupon_redemption) AS same, replayed FROM hold_coupon(1, 'ONE', '1 day');
-- Redeemed by its user
SELECT status, redemption_id, use_no, redeemed_at > (SELECT created_at FROM coupon WHERE id = 1) AS now, terms, replayed FROM redeem_coupon(1, 'ONE', metadata => '{"order": 1}');
SELECT id, hold_expires_at, metadata FROM coupon_redemption;
SELECT status, redemption_id FROM redeem_coupon(1, 'ONE');
SELECT status, redemption_id, hold_expires_at FROM hold_coupon(1, 'ONE');
SELECT * FROM one;

-- Confirmed by id: once, then it is as it is
CALL pg_temp.begin_anew();
SELECT status FROM hold_coupon(1, 'ONE', '1 hour', metadata => '{"cart": 1}');
SELECT status, redemption_id, coupon_id, use_no, terms, replayed FROM confirm_hold(1);
SELECT status, redemption_id, replayed FROM confirm_hold(1);
SELECT metadata, hold_expires_at FROM coupon_redemption;
-- Released
CALL pg_temp.begin_anew();
SELECT status FROM hold_coupon(1, 'ONE');
SELECT void_redemption(1, 'walked away');
SELECT status, redemption_id, coupon_id, replayed FROM confirm_hold(1);
SELECT status FROM redeem_coupon(2, 'ONE');
SELECT * FROM one;
-- A redemption is no hold, but confirmed all the same; an unknown id is an error.
SELECT status, replayed FROM confirm_hold(2);
SELECT status FROM confirm_hold(4711);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM confirm_hold(NULL);
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT status FROM confirm_hold(2);
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT status FROM hold_coupon(5, 'FREE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Expired: cannot be confirmed, but redeemed or renewed by its user as long as nobody else has the unit
CALL pg_temp.begin_anew();
SELECT status FROM hold_coupon(1, 'ONE');
CALL pg_temp.let_holds_expire();
SELECT * FROM one;
SELECT status, redemption_id FROM confirm_hold(1);
SELECT status, redemption_id, hold_expires_at > clock_timestamp() AS live, replayed FROM hold_coupon(1, 'ONE');
SELECT status FROM redeem_coupon(2, 'ONE');
CALL pg_temp.let_holds_expire();
SELECT status, redemption_id FROM redeem_coupon(1, 'ONE');
SELECT * FROM one;
-- ... or taken over by another buyer, by redeeming or holding; then its user comes too late.
CALL pg_temp.begin_anew();
SELECT status FROM hold_coupon(1, 'ONE');
CALL pg_temp.let_holds_expire();
SELECT status, redemption_id FROM hold_coupon(2, 'ONE');
SELECT user_id, voided_at IS NOT NULL AS is_voided, void_reason FROM coupon_redemption ORDER BY id;
SELECT status FROM redeem_coupon(1, 'ONE');
SELECT status FROM hold_coupon(1, 'ONE');
SELECT status FROM confirm_hold(1);
CALL pg_temp.let_holds_expire();
SELECT status, redemption_id FROM redeem_coupon(3, 'ONE');
SELECT status FROM redeem_coupon(4, 'ONE');
SELECT void_redemption(1), void_redemption(2);
SELECT * FROM one;
SELECT * FROM coupon_guard_verify();
-- Only who finds it sold out takes over: units that are left come first.
SELECT r.status, count(*) FROM generate_series(1, 3) buyer(id), LATERAL hold_coupon(buyer.id, 'TEN') r GROUP BY 1;
CALL pg_temp.let_holds_expire();
SELECT r.status, count(*) FROM generate_series(11, 17) buyer(id), LATERAL redeem_coupon(buyer.id, 'TEN') r GROUP BY 1;
SELECT redeemed, held, voided, remaining_units FROM coupon_usage WHERE code = 'TEN';
SELECT r.status, count(*) FROM generate_series(21, 24) buyer(id), LATERAL redeem_coupon(buyer.id, 'TEN') r GROUP BY 1 ORDER BY 1;
SELECT redeemed, held, voided, remaining_units FROM coupon_usage WHERE code = 'TEN';
SELECT * FROM coupon_guard_verify();
-- Rolled back takeovers have not happened.
CALL pg_temp.begin_anew();
SELECT status FROM hold_coupon(1, 'ONE');
CALL pg_temp.let_holds_expire();
BEGIN;
SAVEPOINT s;
SELECT status FROM redeem_coupon(2, 'ONE');
ROLLBACK TO s;
SELECT status FROM redeem_coupon(3, 'ONE');
ROLLBACK;
SELECT status, redemption_id FROM redeem_coupon(1, 'ONE');

-- The end of a coupon is no end of its live holds; but no new hold is placed, and an expired one is over.
CALL pg_temp.begin_anew();
SELECT r.status, count(*) FROM generate_series(1, 4) buyer(id), LATERAL hold_coupon(buyer.id, 'TEN') r GROUP BY 1;
UPDATE coupon SET active = false WHERE code = 'TEN';
SELECT status FROM confirm_hold(1);
UPDATE coupon SET active = true, expires_at = '2001-01-01' WHERE code = 'TEN';
SELECT status FROM redeem_coupon(2, 'TEN');
SELECT status FROM hold_coupon(3, 'TEN');
SELECT status FROM hold_coupon(5, 'TEN');
CALL pg_temp.let_holds_expire();
SELECT status FROM redeem_coupon(4, 'TEN');
SELECT status FROM redeem_coupon_strict(4, 'TEN');
UPDATE coupon SET expires_at = NULL WHERE code = 'TEN';

-- A hold is a use: with a limit of two, it and one redemption.
CALL pg_temp.begin_anew();
SELECT status, use_no FROM redeem_coupon(1, 'FREE');
SELECT status, use_no FROM hold_coupon(1, 'FREE');
SELECT status, use_no, replayed FROM hold_coupon(1, 'FREE');
SELECT status, use_no FROM redeem_coupon(1, 'FREE');
SELECT status FROM redeem_coupon(1, 'FREE');
SELECT status FROM hold_coupon(1, 'FREE');

-- A hold below the latest use is confirmed all the same.
INSERT INTO coupon (id, code, max_per_user) VALUES (4, 'THRICE', 3);
SELECT status, use_no FROM generate_series(1, 3) i, LATERAL redeem_coupon(5 + 0 * i, 'THRICE') ORDER BY use_no;
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '5' AND use_no = 1;
SELECT status, use_no FROM hold_coupon(5, 'THRICE');
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '5' AND use_no = 3;
SELECT status, use_no FROM redeem_coupon(5, 'THRICE');
SELECT status, use_no FROM redeem_coupon(5, 'THRICE');
SELECT status FROM redeem_coupon(5, 'THRICE');
-- A live hold comes before an expired one, and is honoured when the coupon is switched off.
INSERT INTO coupon (id, code, max_per_user) VALUES (5, 'TWICE', 2);
SELECT r.status, r.use_no FROM (VALUES ('first'), ('second')) q(id), LATERAL hold_coupon(7, 'TWICE', request_id => q.id) r;
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = '7' AND use_no = 2;
SELECT status, use_no, replayed FROM hold_coupon(7, 'TWICE');
UPDATE coupon SET active = false WHERE code = 'TWICE';
SELECT status FROM check_coupon(7, 'TWICE');
SELECT status, use_no FROM redeem_coupon(7, 'TWICE');
SELECT status FROM check_coupon(7, 'TWICE');
SELECT status FROM redeem_coupon(7, 'TWICE');
-- A limit that was lowered, and rows beyond it
UPDATE coupon SET max_per_user = 60 WHERE code = 'THRICE';
SELECT r.status, count(*), max(r.use_no) FROM generate_series(1, 60) i, LATERAL redeem_coupon(6 + 0 * i, 'THRICE') r GROUP BY 1;
SELECT count(void_redemption(id)) FROM coupon_redemption WHERE user_id = '6' AND use_no IN (1, 40, 41);
UPDATE coupon SET max_per_user = 57 WHERE code = 'THRICE';
SELECT status FROM redeem_coupon(6, 'THRICE');
UPDATE coupon SET max_per_user = 58 WHERE code = 'THRICE';
SELECT status FROM redeem_coupon(6, 'THRICE');
SELECT status FROM redeem_coupon(6, 'THRICE');
SELECT * FROM coupon_guard_verify();

-- How long
SELECT status FROM hold_coupon(9, 'FREE', '0');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM hold_coupon(9, 'FREE', '-1 second');
SELECT status FROM hold_coupon(9, 'FREE', NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM hold_coupon(9, 'FREE', '300000 years');
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM coupon_redemption WHERE user_id = '9';
SELECT status, hold_expires_at > now() + '29 days' AS far FROM hold_coupon(9, 'FREE', '30 days');
-- For every type of user id, by name, and refused
SELECT status FROM hold_coupon(user_id => 'ann'::text, code => 'FREE', ttl => '1 minute', metadata => '{}');
SELECT status FROM hold_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'FREE');
SELECT status FROM hold_coupon(9, 'NOSUCH');
SELECT status FROM hold_coupon(''::text, 'FREE');
SELECT status FROM hold_coupon(NULL::bigint, 'FREE');
SELECT status FROM hold_coupon(9, NULL);
SELECT * FROM coupon_guard_verify();
DROP VIEW one;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
