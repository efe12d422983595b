-- A redemption is part of the caller's transaction, as an INSERT in its place would be.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, max_per_user) VALUES ('ONCE', 1), ('THRICE', 3);
CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY, redemption_id bigint NOT NULL);

-- The next statement sees the row; the statement itself does not, as with any INSERT in a function.
BEGIN;
SELECT status, (SELECT count(*) FROM coupon_redemption) AS rows_seen FROM redeem_coupon(1, 'ONCE');
SELECT count(*) FROM coupon_redemption;
INSERT INTO orders (redemption_id) SELECT id FROM coupon_redemption WHERE user_id = '1';
SELECT count(*) FROM orders;
ROLLBACK;
SELECT count(*) FROM coupon_redemption;
SELECT status FROM redeem_coupon(1, 'ONCE');

-- The order and the redemption in one statement
WITH used AS MATERIALIZED (SELECT status, redemption_id FROM redeem_coupon(2, 'ONCE')),
     ordered AS (INSERT INTO orders (redemption_id) SELECT redemption_id FROM used WHERE status = 'redeemed' RETURNING redemption_id)
SELECT used.status, used.redemption_id = ordered.redemption_id AS same FROM used, ordered;

-- Two calls in one statement know of each other.
SELECT one.status, other.status FROM redeem_coupon(3, 'ONCE') one, redeem_coupon('3'::text, ' once') other;
SELECT (redeem_coupon(4, 'ONCE')).status, (redeem_coupon(4, 'ONCE')).status;

SELECT (hold_coupon(5, 'ONCE')).status, (redeem_coupon(5, 'ONCE')).status, (redeem_coupon(5, 'ONCE')).status;

-- Many users in one statement: LATERAL, each called once.
SELECT r.status, count(*), count(DISTINCT r.redemption_id) FROM generate_series(1001, 2000) customer(id)
  CROSS JOIN LATERAL redeem_coupon(customer.id, 'ONCE') r GROUP BY r.status;
SELECT r.status, count(*) FROM generate_series(1001, 2000) customer(id), redeem_coupon(customer.id, 'ONCE') r GROUP BY r.status;
SELECT count(*), count(DISTINCT user_id) FROM coupon_redemption WHERE length(user_id) = 4;

-- Savepoints
BEGIN;
SAVEPOINT a;
SELECT status, use_no FROM redeem_coupon(6, 'THRICE');
SAVEPOINT b;
SELECT status, use_no FROM redeem_coupon(6, 'THRICE');
RELEASE a;
SAVEPOINT c;
SELECT status, use_no FROM redeem_coupon(6, 'THRICE');
SELECT status FROM redeem_coupon(6, 'THRICE');
ROLLBACK TO c;
SELECT status, use_no FROM redeem_coupon(6, 'THRICE');
COMMIT;
SELECT use_no FROM coupon_redemption WHERE user_id = '6' ORDER BY use_no;

-- PL/pgSQL: what an EXCEPTION block undoes is undone.
DO $$
DECLARE
  answer record;
BEGIN
  BEGIN
    SELECT status, use_no INTO answer FROM redeem_coupon(7, 'ONCE');
    RAISE NOTICE 'inside: %', answer;
    RAISE division_by_zero;
  EXCEPTION WHEN division_by_zero THEN
    SELECT status, use_no INTO answer FROM redeem_coupon(7, 'ONCE');
    RAISE NOTICE 'in the handler: %', answer;
  END;
  SELECT status, use_no INTO answer FROM redeem_coupon(7, 'ONCE');
  RAISE NOTICE 'afterwards: %', answer;
  RAISE NOTICE 'rows: %', (SELECT count(*) FROM coupon_redemption WHERE user_id = '7');
END $$;
-- ... and COMMIT and ROLLBACK within a procedure do what they say.
DO $$
BEGIN
  FOR i IN 1 .. 4 LOOP
    PERFORM redeem_coupon(8, 'THRICE');
    IF i % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
  END LOOP;
END $$;
SELECT use_no FROM coupon_redemption WHERE user_id = '8' ORDER BY use_no;

-- Cursors: a redemption per row fetched, none for the rows that nobody fetched.
BEGIN;
DECLARE customers CURSOR FOR SELECT i, (redeem_coupon(i, 'THRICE')).status FROM generate_series(11, 14) i;
FETCH 2 FROM customers;
CLOSE customers;
SELECT user_id FROM coupon_redemption WHERE user_id IN ('11', '12', '13', '14') ORDER BY user_id;
DECLARE held CURSOR WITH HOLD FOR SELECT i, (redeem_coupon(i, 'THRICE')).status FROM generate_series(13, 14) i;
COMMIT;
SELECT user_id FROM coupon_redemption WHERE user_id IN ('11', '12', '13', '14') ORDER BY user_id;
FETCH ALL FROM held;
CLOSE held;
DO $$
DECLARE
  customer record;
BEGIN
  FOR customer IN SELECT user_id FROM coupon_redemption WHERE user_id IN ('11', '12') ORDER BY user_id LOOP
    RAISE NOTICE '%: %', customer.user_id, (SELECT status FROM redeem_coupon(customer.user_id, 'ONCE'));
  END LOOP;
END $$;

-- Isolation levels: the answer comes from what is there now, the transaction's own work included.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM coupon_redemption WHERE user_id = '21';
SELECT status FROM redeem_coupon(21, 'ONCE');
SELECT status FROM redeem_coupon(21, 'ONCE');
SELECT count(*) FROM coupon_redemption WHERE user_id = '21';
COMMIT;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT status FROM redeem_coupon(22, 'ONCE');
SELECT status FROM redeem_coupon(22, 'ONCE');
UPDATE coupon SET max_per_user = 2 WHERE code = 'ONCE';
SELECT status, use_no FROM redeem_coupon(22, 'ONCE');
ROLLBACK;

-- Called from an SQL function, from a view, from COPY
CREATE FUNCTION use_it(who bigint) RETURNS coupon_status LANGUAGE sql AS $$ SELECT status FROM redeem_coupon(who, 'ONCE') $$;
SELECT use_it(31), use_it(31);
CREATE VIEW use_by_looking AS SELECT status FROM redeem_coupon(32, 'ONCE');
SELECT status FROM use_by_looking;
SELECT status FROM use_by_looking;
COPY (SELECT status FROM redeem_coupon(33, 'ONCE')) TO STDOUT;
-- EXPLAIN redeems nothing.
EXPLAIN (COSTS OFF) SELECT status FROM redeem_coupon(34, 'ONCE');
SELECT count(*) FROM coupon_redemption WHERE user_id = '34';
-- In a parallel query it stays with the leader.
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT status FROM redeem_coupon(35, 'ONCE');

DROP VIEW use_by_looking;
DROP FUNCTION use_it;
DROP TABLE orders;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
