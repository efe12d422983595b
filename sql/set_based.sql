-- Many users in one statement or transaction: each row of the statement is a redemption of its own, and the quota stays small however many
-- units one transaction takes.
\a \t
CREATE EXTENSION coupon_guard;
CREATE TABLE users (id bigint PRIMARY KEY);
INSERT INTO users SELECT generate_series(1, 20000);
INSERT INTO coupon (code, max_redemptions) VALUES ('GIFT', NULL), ('CAPPED', 30000), ('SCARCE', 5000);
-- Bytes that the quota has come to; generous: one row version per redemption would be a hundred times that.
CREATE VIEW quota AS SELECT pg_relation_size('coupon_quota') < 512 * 1024 AS is_small;

SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(u.id, 'GIFT') r GROUP BY 1;
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(u.id, 'GIFT') r GROUP BY 1;
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(u.id, 'CAPPED') r GROUP BY 1;
SELECT * FROM quota;
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(u.id, 'SCARCE') r GROUP BY 1 ORDER BY 1;
SELECT * FROM quota;
SELECT code, redeemed, remaining_units FROM coupon_usage ORDER BY code;
SELECT * FROM coupon_guard_verify();

-- Undone, as a whole and by savepoints
BEGIN;
UPDATE coupon SET max_redemptions = 50000 WHERE code = 'CAPPED';
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(100000 + u.id, 'CAPPED') r GROUP BY 1;
ROLLBACK;
SELECT redeemed, remaining_units FROM coupon_usage WHERE code = 'CAPPED';
BEGIN;
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(100000 + u.id, 'CAPPED') r WHERE u.id <= 1000 GROUP BY 1;
SAVEPOINT s;
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(100000 + u.id, 'CAPPED') r WHERE u.id > 1000 GROUP BY 1 ORDER BY 1;
ROLLBACK TO s;
SELECT r.status, count(*) FROM users u, LATERAL redeem_coupon(100000 + u.id, 'CAPPED') r WHERE u.id BETWEEN 1001 AND 3000 GROUP BY 1;
RELEASE s;
COMMIT;
SELECT redeemed, remaining_units FROM coupon_usage WHERE code = 'CAPPED';
SELECT * FROM coupon_guard_verify();

-- A block of its own for each of them
TRUNCATE coupon_redemption;
DO $$
DECLARE
  redeemed int := 0;
BEGIN
  FOR buyer IN 1 .. 8000 LOOP
    BEGIN
      redeemed := redeemed + (SELECT (status = 'redeemed')::int FROM redeem_coupon(buyer, 'SCARCE'));
      IF buyer % 10 = 0 THEN redeemed := redeemed - 1; RAISE division_by_zero; END IF;
    EXCEPTION WHEN division_by_zero THEN
    END;
    EXIT WHEN redeemed = 5000;
  END LOOP;
  RAISE NOTICE '% redeemed', redeemed;
END $$;
SELECT redeemed, remaining_units FROM coupon_usage WHERE code = 'SCARCE';
SELECT * FROM quota;
SELECT * FROM coupon_guard_verify();

-- A row each from a RETURNING list, into a table
WITH new_users AS (INSERT INTO users SELECT generate_series(20001, 20003) RETURNING id)
SELECT u.id, r.status FROM new_users u, LATERAL redeem_coupon(u.id, 'GIFT') r ORDER BY 1;
CREATE TABLE sent AS SELECT u.id, r.redemption_id FROM users u, LATERAL redeem_coupon(u.id, 'CAPPED') r WHERE r.status = 'redeemed' AND u.id < 100;
SELECT count(*) FROM sent JOIN coupon_redemption l ON l.id = sent.redemption_id AND l.user_id = sent.id::text;
-- The form not to use: PostgreSQL calls the function once for each column, so the answer's columns are those of several calls.
INSERT INTO coupon (code, max_per_user) VALUES ('ANY', NULL);
SELECT status, use_no FROM (SELECT (redeem_coupon(1, 'ANY')).*) answer;
SELECT count(*) FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id WHERE c.code = 'ANY';
SELECT status, use_no FROM redeem_coupon(2, 'ANY');
SELECT count(*) FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id WHERE c.code = 'ANY' AND user_id = '2';

-- Holds, confirmed and voided by the thousand
SELECT r.status, count(*) FROM users u, LATERAL hold_coupon(u.id, 'CAPPED') r WHERE u.id BETWEEN 1001 AND 3000 GROUP BY 1;
SELECT r.status, count(*) FROM coupon_redemption l, LATERAL confirm_hold(l.id) r WHERE l.hold_expires_at IS NOT NULL AND l.id % 2 = 0 GROUP BY 1;
SELECT void_redemption(l.id) AS voided, count(*) FROM coupon_redemption l WHERE l.hold_expires_at IS NOT NULL GROUP BY 1;
SELECT redeemed, held, voided, remaining_units FROM coupon_usage WHERE code = 'CAPPED';
SELECT * FROM coupon_guard_verify();
DROP VIEW quota;
DROP TABLE users, sent;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
