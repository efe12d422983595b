-- redeem_coupons: all or none, one row a code, in the order in which they were named.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code, active, max_redemptions, max_per_user, terms) VALUES (1, 'A', true, 3, 1, '{"off": 1}'), (2, 'B', true, 1, 1, '{"off": 2}'),
  (3, 'C', true, NULL, 1, '{"off": 3}'), (4, 'OFF', false, NULL, 1, NULL), (5, 'TWICE', true, 5, 2, NULL);
CREATE VIEW state AS SELECT code, redeemed, held, voided, remaining_units FROM coupon_usage WHERE redeemed + held + voided > 0 ORDER BY code;

SELECT code, status, coupon_id, use_no, terms, replayed FROM redeem_coupons(1, '{C,A}');
SELECT code, status, coupon_id, use_no, redemption_id, redeemed_at, terms, replayed FROM redeem_coupons(2, ARRAY['B', 'NOSUCH', 'A']);
SELECT code, status, coupon_id FROM redeem_coupons(2, '{OFF,A,B}');
SELECT code, status, redemption_id, redeemed_at IS NOT NULL AS has_time FROM redeem_coupons(1, '{B,A}');
SELECT * FROM state;
SELECT code, status FROM redeem_coupons(2, '{A,B}');
SELECT code, status FROM redeem_coupons(3, '{A,B,C}');
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- The same code twice: two uses, if the user may have two; else none
SELECT code, status, use_no FROM redeem_coupons(1, '{TWICE, twice}');
SELECT code, status, redemption_id, redeemed_at FROM redeem_coupons(4, '{c,C}');
SELECT count(*) FROM coupon_redemption WHERE user_id = '4';
-- Nothing, one, many
\t
SELECT * FROM redeem_coupons(4, '{}');
\t
SELECT code, status FROM redeem_coupons(4, '{C}');
INSERT INTO coupon (id, code, max_redemptions) SELECT 1000 + i, 'M' || i, 1 FROM generate_series(1, 100) i;
SELECT status, count(*) FROM redeem_coupons(4, (SELECT array_agg('M' || i ORDER BY i % 7, i) FROM generate_series(1, 100) i)) GROUP BY 1;
SELECT status, count(*) FROM redeem_coupons(5, (SELECT array_agg('M' || i ORDER BY i % 7, i) FROM generate_series(1, 100) i)) GROUP BY 1;
-- Misuse
SELECT * FROM redeem_coupons(4, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM redeem_coupons(4, '{C,NULL}');
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM redeem_coupons(NULL::bigint, '{C}');
BEGIN READ ONLY;
SELECT * FROM redeem_coupons(4, '{C}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- Every type of user id
SELECT code, status FROM redeem_coupons('ann'::text, '{C}');
SELECT code, status FROM redeem_coupons('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, '{C}');

-- Retries: each code under the request id and its place
SELECT code, status, replayed FROM redeem_coupons(6, '{C,TWICE}', 'cart-1', '{"cart": 1}');
SELECT code, status, replayed FROM redeem_coupons(6, '{C,TWICE}', 'cart-1');
SELECT coupon_id, replace(request_id, chr(31), '|') AS request_id, metadata FROM coupon_redemption WHERE user_id = '6' ORDER BY id;
SELECT code, status, replayed FROM redeem_coupons(6, '{TWICE,C}', 'cart-1');
\echo :LAST_ERROR_SQLSTATE
SELECT code, status, replayed FROM redeem_coupons(6, '{C,TWICE,NOSUCH}', 'cart-1');
SELECT code, status, replayed FROM redeem_coupons(6, '{C}', repeat('x', 254));
\echo :LAST_ERROR_SQLSTATE
SELECT * FROM coupon_guard_verify();

-- A hold is confirmed with the rest, or stays a hold with the rest.
SELECT status FROM hold_coupon(7, 'C');
SELECT code, status FROM redeem_coupons(7, '{C,NOSUCH}');
SELECT hold_expires_at IS NOT NULL AS is_held FROM coupon_redemption WHERE user_id = '7';
SELECT code, status FROM redeem_coupons(7, '{C,TWICE}');
SELECT coupon_id, hold_expires_at IS NOT NULL AS is_held FROM coupon_redemption WHERE user_id = '7' ORDER BY 1;

-- In savepoints and PL/pgSQL blocks; an error leaves no subtransaction behind.
BEGIN;
SAVEPOINT s;
SELECT code, status FROM redeem_coupons(8, '{C,TWICE}');
ROLLBACK TO s;
SELECT code, status FROM redeem_coupons(8, '{C,NOSUCH}');
SELECT code, status FROM redeem_coupons(8, '{TWICE,C}');
COMMIT;
ALTER TABLE coupon_redemption ADD CONSTRAINT no_robots CHECK (user_id <> 'robot' OR coupon_id <> 3);
\set ECHO none
CREATE FUNCTION try(who text, codes text[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  answer := (SELECT string_agg(r.code || ' ' || r.status, ', ') FROM redeem_coupons(who, codes) r);
  IF answer LIKE '%withheld%' THEN RAISE EXCEPTION 'not all: %', answer; END IF;
  RETURN answer;
EXCEPTION WHEN check_violation OR raise_exception THEN
  RETURN sqlerrm || '; then ' || (SELECT string_agg(r.code || ' ' || r.status, ', ') FROM redeem_coupons(who, ARRAY['TWICE']) r);
END $$;
\set ECHO all
SELECT try('robot', '{TWICE,C}');
SELECT try('bob', '{TWICE,NOSUCH}');
UPDATE coupon SET max_redemptions = 20 WHERE code = 'TWICE';
BEGIN;
SELECT try('robot', '{TWICE,C}');
SELECT try('bob', '{TWICE,NOSUCH}');
SAVEPOINT s;
\set VERBOSITY terse
SELECT code, status FROM redeem_coupons('robot'::text, '{TWICE,C}');
\set VERBOSITY default
ROLLBACK TO s;
SELECT code, status FROM redeem_coupons('carl'::text, '{C,TWICE}');
COMMIT;
SELECT user_id, coupon_id, use_no FROM coupon_redemption WHERE user_id IN ('8', 'robot', 'bob', 'carl') ORDER BY 1, 2, 3;
-- For many users in one statement
SELECT r.code, r.status, count(*) FROM generate_series(101, 150) buyer(id), LATERAL redeem_coupons(buyer.id, '{C,TWICE}') r GROUP BY 1, 2 ORDER BY 1, 2;
SELECT redeemed, remaining_units FROM coupon_usage WHERE code = 'TWICE';
SELECT * FROM coupon_guard_verify();
DROP FUNCTION try;
DROP VIEW state;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
