-- Every status, when it is given, and what comes along.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, active, starts_at, expires_at, terms) VALUES
  ('PLAIN',   true,  NULL,         NULL,         NULL),
  ('PERCENT', true,  '2001-01-01', '2999-01-01', '{"percent_off": 10, "on": ["shoes", null]}'),
  ('OFF',     false, NULL,         NULL,         '{"percent_off": 20}'),
  ('FUTURE',  true,  '2999-01-01', NULL,         '{"percent_off": 30}'),
  ('PAST',    true,  NULL,         '2001-01-01', '{"percent_off": 40}'),
  ('ENDLESS', true,  '-infinity',  'infinity',   NULL),
  ('NEVER',   true,  'infinity',   NULL,         NULL),
  ('WAS',     true,  NULL,         '-infinity',  NULL);

SELECT status, redemption_id IS NOT NULL AS has_redemption, coupon_id, use_no, redeemed_at IS NOT NULL AS has_time, terms
  FROM redeem_coupon(1, 'PLAIN');
SELECT status, redemption_id IS NOT NULL AS has_redemption, coupon_id, use_no, redeemed_at IS NOT NULL AS has_time, terms
  FROM redeem_coupon(1, 'PERCENT');
SELECT status, redemption_id, coupon_id, use_no, redeemed_at, terms FROM redeem_coupon(1, 'NOSUCH');
SELECT status, redemption_id, coupon_id, use_no, redeemed_at, terms FROM redeem_coupon(1, 'OFF');
SELECT status, redemption_id, coupon_id, use_no, redeemed_at, terms FROM redeem_coupon(1, 'FUTURE');
SELECT status, redemption_id, coupon_id, use_no, redeemed_at, terms FROM redeem_coupon(1, 'PAST');
SELECT status FROM redeem_coupon(1, 'ENDLESS');
SELECT status FROM redeem_coupon(1, 'NEVER');
SELECT status FROM redeem_coupon(1, 'WAS');

-- already_redeemed tells which redemption stands in the way, but not the terms: nothing was earned.
SELECT r.status, r.redemption_id = l.id AS same_id, r.coupon_id, r.use_no, r.redeemed_at = l.redeemed_at AS same_time, r.terms
  FROM redeem_coupon(1, 'PERCENT') r, coupon_redemption l WHERE l.coupon_id = 2;

-- Refusals have written nothing.
SELECT c.code, l.user_id, l.use_no FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id ORDER BY l.id;

-- Of several reasons the first is told: inactive, then the window, then the user's limit.
UPDATE coupon SET active = false WHERE code IN ('PLAIN', 'FUTURE', 'PAST');
SELECT status FROM redeem_coupon(1, 'PLAIN');
SELECT status FROM redeem_coupon(1, 'FUTURE');
SELECT status FROM redeem_coupon(1, 'PAST');
UPDATE coupon SET active = true, expires_at = '2001-01-01' WHERE code = 'PLAIN';
SELECT status FROM redeem_coupon(1, 'PLAIN');

-- The window is half open: it starts at starts_at and has ended at expires_at. Time is the clock's, not the transaction's.
BEGIN;
SELECT count(*) FROM coupon WHERE code = 'PLAIN';
UPDATE coupon SET starts_at = clock_timestamp(), expires_at = NULL WHERE code = 'PLAIN';
SELECT now() < starts_at AS started_within_transaction FROM coupon WHERE code = 'PLAIN';
SELECT status FROM redeem_coupon(2, 'PLAIN');
UPDATE coupon SET starts_at = NULL, expires_at = clock_timestamp() WHERE code = 'PLAIN';
SELECT status FROM redeem_coupon(3, 'PLAIN');
SELECT now() < redeemed_at AND redeemed_at <= clock_timestamp() AS clock_time FROM coupon_redemption WHERE user_id = '2';
ROLLBACK;

-- What the transaction itself did to the coupon counts, what it undid does not.
BEGIN;
UPDATE coupon SET expires_at = NULL WHERE code = 'PLAIN';
SAVEPOINT s;
UPDATE coupon SET active = false WHERE code = 'PLAIN';
SELECT status FROM redeem_coupon(4, 'PLAIN');
ROLLBACK TO s;
SELECT status FROM redeem_coupon(4, 'PLAIN');
INSERT INTO coupon (code) VALUES ('NEW');
SELECT status FROM redeem_coupon(4, 'NEW');
DELETE FROM coupon WHERE code = 'WAS';
SELECT status FROM redeem_coupon(4, 'WAS');
ROLLBACK;
SELECT status FROM redeem_coupon(4, 'NEW');

-- Terms come back whole, however long, and so does the caller's metadata from the ledger.
UPDATE coupon SET terms = (SELECT jsonb_object_agg(i, md5(i::text)) FROM generate_series(1, 50000) i) WHERE code = 'ENDLESS';
SELECT r.status, r.terms = c.terms AS same_terms, pg_column_size(r.terms) > 1000000 AS long
  FROM redeem_coupon(5, 'ENDLESS', metadata => '{"order": 17}') r JOIN coupon c ON c.id = r.coupon_id;
SELECT metadata FROM coupon_redemption WHERE user_id = '5';
CREATE TABLE shop_note (note jsonb);
INSERT INTO shop_note SELECT terms FROM coupon WHERE code = 'ENDLESS';
SELECT status FROM shop_note, redeem_coupon(6, 'ENDLESS', metadata => note);
DROP TABLE shop_note;
SELECT l.metadata = c.terms AS same FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id WHERE l.user_id = '6';
SELECT status FROM redeem_coupon(7, 'ENDLESS', metadata => NULL);
SELECT status FROM redeem_coupon(8, 'ENDLESS', metadata => 'null');
SELECT user_id, metadata, metadata IS NULL AS is_null FROM coupon_redemption WHERE user_id IN ('7', '8') ORDER BY user_id;
-- A redemption refused has changed no metadata.
SELECT status FROM redeem_coupon(5, 'ENDLESS', metadata => '{"order": 18}');
SELECT metadata FROM coupon_redemption WHERE user_id = '5';

-- What cannot be a coupon is refused when it is made.
\set VERBOSITY terse
INSERT INTO coupon (code, starts_at, expires_at) VALUES ('EMPTY', '2002-01-01', '2001-01-01');
INSERT INTO coupon (code, starts_at, expires_at) VALUES ('EMPTY', '2002-01-01', '2002-01-01');
INSERT INTO coupon (code, max_per_user) VALUES ('NONE', 0);

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
