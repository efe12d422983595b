-- A transaction that redeems a capped coupon more than once takes units of a stripe ahead. Nobody is to notice: not the
-- transaction itself, in or outside of its savepoints, nor whoever changes the quota in the same transaction.
\a \t
CREATE EXTENSION coupon_guard;
SET coupon_guard.quota_stripes = 1;

-- So many buyers, each with a user id of their own, beginning with first.
CREATE FUNCTION pg_temp.buy(first int, last int) RETURNS TABLE (status coupon_status, buyers bigint) LANGUAGE sql AS $$
  SELECT r.status, count(*) FROM generate_series(first, last) AS buyer(id), LATERAL redeem_coupon(buyer.id, 'TEN') r GROUP BY r.status ORDER BY 1
$$;
CREATE VIEW state AS SELECT redeemed, held, voided, remaining_units FROM coupon_usage;
CREATE PROCEDURE pg_temp.begin_anew() LANGUAGE sql AS $$
  TRUNCATE coupon, coupon_redemption;
  INSERT INTO coupon (code, max_redemptions) VALUES ('TEN', 10);
$$;

-- What was taken ahead outside a savepoint can be used inside, and again if that is rolled back.
CALL pg_temp.begin_anew();
BEGIN;
SELECT * FROM pg_temp.buy(1, 8);
SELECT status, remaining_units FROM check_coupon(9, 'TEN');
SAVEPOINT s;
SELECT * FROM pg_temp.buy(9, 11);
ROLLBACK TO s;
SELECT status, remaining_units FROM check_coupon(9, 'TEN');
SAVEPOINT t;
SAVEPOINT u;
SELECT * FROM pg_temp.buy(9, 9);
ROLLBACK TO u;
SELECT * FROM pg_temp.buy(10, 10);
RELEASE u;
SELECT status, remaining_units FROM check_coupon(9, 'TEN');
RELEASE t;
SELECT * FROM pg_temp.buy(9, 11);
COMMIT;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- One after the other in blocks of their own, every other one rolled back
CALL pg_temp.begin_anew();
\set ECHO none
CREATE FUNCTION pg_temp.buy_in_block(buyer int) RETURNS coupon_status LANGUAGE plpgsql AS $$
DECLARE
  answer coupon_status;
BEGIN
  answer := (SELECT status FROM redeem_coupon(buyer, 'TEN'));
  IF buyer % 2 = 0 THEN RAISE division_by_zero; END IF;
  RETURN answer;
EXCEPTION WHEN division_by_zero THEN
  RETURN NULL;
END $$;
\set ECHO all
SELECT pg_temp.buy_in_block(i) AS answer, count(*) FROM generate_series(1, 24) i GROUP BY answer ORDER BY 1;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- The rest comes back at commit; nothing is left to come back after a rollback.
CALL pg_temp.begin_anew();
BEGIN;
SELECT * FROM pg_temp.buy(1, 4);
COMMIT;
SELECT sum(remaining) FROM coupon_quota;
BEGIN;
SELECT * FROM pg_temp.buy(5, 6);
ROLLBACK;
SELECT sum(remaining) FROM coupon_quota;
SELECT * FROM pg_temp.buy(5, 12);
SELECT * FROM coupon_guard_verify();

-- The cap is changed by the same transaction: raised, lowered to what is used, below it, and undone.
CALL pg_temp.begin_anew();
BEGIN;
SELECT * FROM pg_temp.buy(1, 4);
UPDATE coupon SET max_redemptions = 12;
SELECT status, remaining_units FROM check_coupon(9, 'TEN');
SELECT * FROM pg_temp.buy(5, 6);
SAVEPOINT s;
UPDATE coupon SET max_redemptions = 5;
ROLLBACK TO s;
UPDATE coupon SET max_redemptions = 6;
SELECT * FROM pg_temp.buy(7, 7);
ROLLBACK TO s;
SELECT * FROM pg_temp.buy(7, 13);
COMMIT;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();
-- No cap, and a cap again
CALL pg_temp.begin_anew();
BEGIN;
SELECT * FROM pg_temp.buy(1, 4);
UPDATE coupon SET max_redemptions = NULL;
SELECT * FROM pg_temp.buy(5, 6);
UPDATE coupon SET max_redemptions = 7;
SELECT * FROM pg_temp.buy(7, 8);
COMMIT;
SELECT * FROM coupon_guard_verify();
SELECT * FROM state;
BEGIN;
SELECT void_redemption(min(id)) FROM coupon_redemption;
SELECT * FROM pg_temp.buy(8, 8);
SAVEPOINT s;
UPDATE coupon SET max_redemptions = NULL;
ROLLBACK TO s;
COMMIT;
SELECT * FROM coupon_guard_verify();
SELECT * FROM state;

-- The ledger is emptied by the same transaction, by DELETE or TRUNCATE; the coupon goes with it.
CALL pg_temp.begin_anew();
BEGIN;
SELECT * FROM pg_temp.buy(1, 4);
TRUNCATE coupon_redemption;
COMMIT;
SELECT * FROM coupon_guard_verify();
SELECT * FROM pg_temp.buy(1, 12);
SELECT * FROM coupon_guard_verify();
BEGIN;
DELETE FROM coupon_redemption;
SELECT * FROM pg_temp.buy(1, 4);
SAVEPOINT s;
DELETE FROM coupon_redemption;
DELETE FROM coupon;
ROLLBACK TO s;
SELECT * FROM pg_temp.buy(5, 12);
COMMIT;
SELECT * FROM coupon_guard_verify();
BEGIN;
DELETE FROM coupon_redemption;
SELECT * FROM pg_temp.buy(1, 4);
DELETE FROM coupon_redemption;
DELETE FROM coupon;
COMMIT;
SELECT count(*) FROM coupon_quota;
CALL pg_temp.begin_anew();
BEGIN;
SELECT * FROM pg_temp.buy(1, 4);
TRUNCATE coupon, coupon_redemption;
COMMIT;
SELECT count(*) FROM coupon_quota;

-- More coupons than are minded
TRUNCATE coupon, coupon_redemption;
INSERT INTO coupon (code, max_redemptions) SELECT 'C' || i, 10 FROM generate_series(1, 100) i;
SELECT r.status, count(*) FROM generate_series(1, 11) AS buyer(id), generate_series(1, 100) AS c(i), LATERAL redeem_coupon(buyer.id, 'C' || c.i) r
 GROUP BY r.status ORDER BY 1;
SELECT count(*), sum(remaining) FROM coupon_quota;
SELECT * FROM coupon_guard_verify();

-- The extension is dropped by the same transaction.
CALL pg_temp.begin_anew();
DROP VIEW state;
SET client_min_messages = warning;
BEGIN;
SELECT * FROM pg_temp.buy(1, 4);
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard CASCADE;
COMMIT;
SELECT count(*) FROM pg_extension WHERE extname = 'coupon_guard';
