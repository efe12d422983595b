-- Any schema, whatever the caller's search_path, and no search_path redirects it.
\a \t
CREATE SCHEMA promo;
CREATE EXTENSION coupon_guard SCHEMA promo;
INSERT INTO promo.coupon (code) VALUES ('ONCE'), ('OTHER');
SELECT status FROM promo.redeem_coupon(1, 'ONCE');
SET search_path = '';
SELECT status FROM promo.redeem_coupon(1, 'ONCE');
SELECT status FROM promo.redeem_coupon_strict('ann'::text, 'ONCE');
INSERT INTO promo.coupon (code) VALUES ('NEW');
DELETE FROM promo.coupon WHERE code = 'NEW';
DELETE FROM promo.coupon WHERE code = 'ONCE';
TRUNCATE promo.coupon;
SET search_path = promo;
SELECT status FROM redeem_coupon(1, 'ONCE');
SET search_path = nosuch, promo;
SELECT status FROM redeem_coupon(2, 'ONCE');
RESET search_path;

-- A hostile schema in front of everything: tables, sequences, types, functions and operators of the same names.
CREATE SCHEMA hostile;
CREATE TABLE hostile.coupon (id bigint, code text, code_key text, active bool, max_per_user int);
INSERT INTO hostile.coupon VALUES (99, 'ONCE', 'once', true, NULL);
CREATE TABLE hostile.coupon_redemption (id bigint, coupon_id bigint, user_id text, use_no int);
CREATE SEQUENCE hostile.coupon_redemption_id_seq START 9000;
CREATE TYPE hostile.coupon_status AS ENUM ('redeemed');
CREATE DOMAIN hostile.text AS bytea;
CREATE DOMAIN hostile.int8 AS pg_catalog.int8 CHECK (false);
CREATE FUNCTION hostile.coupon_key(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT ''hijacked''::text';
CREATE FUNCTION hostile.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION hostile.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION hostile.hijack(bigint, bigint) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION hostile.hijack(int, int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION hostile.hijack(pg_catalog.text, pg_catalog.text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE FUNCTION hostile.hijack(timestamptz, timestamptz) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''hijacked''; END';
CREATE OPERATOR hostile.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.hijack);
CREATE OPERATOR hostile.<> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = hostile.hijack);
CREATE OPERATOR hostile.<> (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = hostile.hijack);
CREATE OPERATOR hostile.= (LEFTARG = pg_catalog.text, RIGHTARG = pg_catalog.text, FUNCTION = hostile.hijack);
CREATE OPERATOR hostile.> (LEFTARG = int, RIGHTARG = int, FUNCTION = hostile.hijack);
CREATE OPERATOR hostile.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = hostile.hijack);
CREATE TEMP TABLE coupon (id bigint, code pg_catalog.text, code_key pg_catalog.text, active bool);
CREATE TEMP TABLE coupon_redemption (id bigint, coupon_id bigint, user_id pg_catalog.text, use_no int);
INSERT INTO pg_temp.coupon VALUES (98, 'ONCE', 'once', true);

SET search_path = hostile, pg_temp, public, pg_catalog;
SELECT status, coupon_id, use_no FROM promo.redeem_coupon(1, 'ONCE');
SELECT status, coupon_id, use_no FROM promo.redeem_coupon(3, 'ONCE');
SELECT status FROM promo.redeem_coupon('nosuch', 'NOSUCH');
INSERT INTO promo.coupon (code, starts_at, expires_at, max_per_user) VALUES (' New ', '2001-01-01', '2999-01-01', 2);
UPDATE promo.coupon SET id = id + 100, code = 'Newer' WHERE code_key OPERATOR(pg_catalog.=) 'new';
SELECT status FROM promo.redeem_coupon(3, 'newer');
DELETE FROM promo.coupon WHERE code_key OPERATOR(pg_catalog.=) 'newer';
SELECT pg_catalog.count(*) FROM hostile.coupon_redemption;
SELECT pg_catalog.count(*) FROM pg_temp.coupon_redemption;
SELECT is_called FROM hostile.coupon_redemption_id_seq;
-- Made while all that is in the way, it is the same extension.
TRUNCATE promo.coupon_redemption, promo.coupon;
DROP EXTENSION coupon_guard;
CREATE EXTENSION coupon_guard SCHEMA promo;
INSERT INTO promo.coupon (code) VALUES (' Once ');
SELECT code_key FROM promo.coupon;
SELECT status, coupon_id, redemption_id FROM promo.redeem_coupon(1, 'ONCE');
SELECT status, coupon_id, redemption_id FROM promo.redeem_coupon(1, 'ONCE');
RESET search_path;
DROP TABLE pg_temp.coupon, pg_temp.coupon_redemption;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA hostile CASCADE;
RESET client_min_messages;
\set VERBOSITY default

-- Not relocatable; its schema may be renamed, though: nothing depends on the name.
ALTER EXTENSION coupon_guard SET SCHEMA public;
\echo :LAST_ERROR_SQLSTATE
ALTER SCHEMA promo RENAME TO sale;
SELECT status FROM sale.redeem_coupon(1, 'ONCE');
SELECT status FROM sale.redeem_coupon(2, 'ONCE');
INSERT INTO sale.coupon (code) VALUES ('AFTER');
DELETE FROM sale.coupon WHERE code = 'AFTER';
DELETE FROM sale.coupon WHERE code = ' Once ';

-- A copy of the function in another schema finds no tables there.
CREATE FUNCTION public.stray(bigint, text, text, jsonb) RETURNS record AS '$libdir/coupon_guard', 'coupon_guard_redeem_bigint' LANGUAGE C;
SELECT public.stray(1, 'ONCE', NULL, NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM sale.redeem_coupon(1, 'ONCE');
DROP FUNCTION public.stray;
-- A schema whose name wants quotes
TRUNCATE sale.coupon_redemption, sale.coupon;
DROP EXTENSION coupon_guard;
DROP SCHEMA sale;
CREATE SCHEMA "My shop";
CREATE EXTENSION coupon_guard SCHEMA "My shop";
INSERT INTO "My shop".coupon (code) VALUES ('ONCE');
SELECT status FROM "My shop".redeem_coupon(1, 'ONCE');
SELECT status FROM "My shop".redeem_coupon(1, 'ONCE');
TRUNCATE "My shop".coupon_redemption, "My shop".coupon;
DROP EXTENSION coupon_guard;
DROP SCHEMA "My shop";
