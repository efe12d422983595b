-- Misuse is an error, and nothing is half written.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('ONCE');

-- NULL
SELECT status FROM redeem_coupon(NULL::bigint, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(NULL::uuid, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(NULL::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(NULL, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict(1, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT coupon_key(NULL) IS NULL AS null_in_null_out;

-- User ids
SELECT status FROM redeem_coupon(''::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(repeat('u', 256), 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(repeat('u', 100000000), 'ONCE');
\echo :LAST_ERROR_SQLSTATE

-- Codes that no coupon can have: there is no such coupon, said quickly.
SELECT status FROM redeem_coupon(1, '');
SELECT status FROM redeem_coupon(1, E' \t\n');
SELECT status FROM redeem_coupon(1, repeat('x', 255));
SELECT status FROM redeem_coupon(1, repeat('x', 256));
SELECT status FROM redeem_coupon(1, repeat('x', 1024));
SELECT status FROM redeem_coupon(1, repeat('x', 1025));
SELECT status FROM redeem_coupon(1, repeat('x', 1024 * 1024));
SELECT status FROM redeem_coupon(1, repeat(' ', 1024 * 1024) || 'ONCE');
-- ... also when it comes compressed or out of line from a table.
CREATE TABLE typed (code text);
INSERT INTO typed SELECT repeat('x', 1024 * 1024) UNION ALL SELECT string_agg(md5(i::text), '') FROM generate_series(1, 40000) i;
SELECT (SELECT status FROM redeem_coupon(1, code)) FROM typed;
DROP TABLE typed;

-- Such a code cannot be given to a coupon either.
\set VERBOSITY terse
INSERT INTO coupon (code) VALUES (NULL);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO coupon (code) VALUES ('');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO coupon (code) VALUES (E' \t\n');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
INSERT INTO coupon (code) VALUES (repeat('x', 256));
\echo :LAST_ERROR_SQLSTATE
INSERT INTO coupon (code) VALUES (repeat('x', 1024 * 1024));
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon SET code = repeat('x', 256);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO coupon (code) VALUES (repeat(' ', 500) || repeat('x', 255) || repeat(' ', 269));
SELECT status FROM redeem_coupon(1, repeat('X', 255));
SELECT coupon_key(repeat('x', 256));
\echo :LAST_ERROR_SQLSTATE

-- In a read-only transaction nothing is redeemed, and that is said before anything else is found out.
BEGIN READ ONLY;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN READ ONLY;
SELECT status FROM redeem_coupon(2, 'NOSUCH');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SET default_transaction_read_only = on;
SELECT status FROM redeem_coupon_strict(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT coupon_key(' ONCE ');
RESET default_transaction_read_only;

-- The trigger function is for its triggers.
SELECT coupon_guard_follow_coupon();
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE other (id bigint, code text);
CREATE TRIGGER not_for_this BEFORE DELETE ON other FOR EACH ROW EXECUTE FUNCTION coupon_guard_follow_coupon();
INSERT INTO other VALUES (1, 'ONCE');
DELETE FROM other;
\echo :LAST_ERROR_SQLSTATE
DROP TABLE other;

SELECT count(*) FROM coupon_redemption WHERE length(user_id) <> 1 OR user_id <> '1';
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
