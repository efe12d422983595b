-- A check character, and what redeem_coupon() can refuse without a look-up because the table has no such code.
\a \t
CREATE EXTENSION coupon_guard;
\set ECHO none
\set VERBOSITY terse
-- How often the transaction at hand has looked into the index of codes since this was asked last.
CREATE FUNCTION looks() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := coalesce(nullif(current_setting('test.looks', true), ''), '0');
BEGIN
  RETURN set_config('test.looks', pg_stat_get_xact_numscans('coupon_code_key_unique'::regclass)::text, false)::bigint - before;
END $$;
\set ECHO all

-- Two spellings of a right code, one wrong character, two that have changed places, and other codes.
SELECT code, coupon_code_fits(code, 'GIFT-????')
  FROM unnest('{GIFT-ABC6,"  gift-abc6 ",GIFT-ABD6,GIFT-BAC6,GIFT-ABC7,GIFT-ABC0,GIFT-ABCDE,SAVE10,""}'::text[]) code;
SELECT coupon_code_fits('12-34', '??-??', '0123456789'), coupon_code_fits('12-30', '??-??', alphabet => '0123456789');
SELECT coupon_code_fits(NULL, '??'), coupon_code_fits('A', NULL), coupon_code_fits('A', '??', NULL);
SELECT coupon_code_fits('A', 'A');
SELECT coupon_code_fits('A', '??', 'Aa');
-- Of a thousand codes all are right, and none with its first two characters exchanged, unless they are the same.
SELECT bool_and(coupon_code_fits(code, 'GIFT-????-???')),
       bool_or(coupon_code_fits(overlay(code PLACING substr(code, 7, 1) || substr(code, 6, 1) FROM 6 FOR 2), 'GIFT-????-???')
               AND substr(code, 6, 1) <> substr(code, 7, 1))
  FROM generate_coupons(NULL, 1000, 'GIFT-????-???', check_character => true, max_share => 0.01) code;
SELECT count(*) FROM coupon WHERE NOT coupon_code_fits(code, 'GIFT-????-???');
DELETE FROM coupon;

-- Without a constraint every code is looked for.
INSERT INTO coupon (code) VALUES ('GIFT-ABC6'), ('GIFT-ABC7');
BEGIN;
SELECT looks() IS NOT NULL;
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC8');
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC7');
ROLLBACK;
-- One that need not hold for all rows changes nothing: a wrong code that is there already can be redeemed.
ALTER TABLE coupon ADD CONSTRAINT gifts CHECK (coupon_code_fits(code, 'GIFT-????')) NOT VALID;
BEGIN;
SELECT looks() IS NOT NULL;
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC7');
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC8');
ROLLBACK;
INSERT INTO coupon (code) VALUES ('gift-abc8');
ALTER TABLE coupon VALIDATE CONSTRAINT gifts;
DELETE FROM coupon WHERE code = 'GIFT-ABC7';
-- Once it holds for all, what it rules out is not looked for; whatever else is.
ALTER TABLE coupon VALIDATE CONSTRAINT gifts;
BEGIN;
SELECT looks() IS NOT NULL;
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC8');
SELECT status, looks() FROM redeem_coupon(1, ' ｇift-abc8 ');
SELECT status, looks() FROM hold_coupon(1, 'GIFT-ABC8');
SELECT status, looks() FROM check_coupon(1, 'GIFT-ABC8');
SELECT status, looks() FROM redeem_coupons(1, '{GIFT-ABC8}');
SELECT status, looks() FROM redeem_coupon_strict(1, 'GIFT-ABC8');
ROLLBACK;
BEGIN;
SELECT looks() IS NOT NULL;
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC0');
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC');
SELECT status, looks() FROM redeem_coupon(1, 'gift-abc6');
ROLLBACK;
-- Once it is gone, codes are looked for again, in the transaction that drops it too.
BEGIN;
SELECT status FROM redeem_coupon(1, 'GIFT-ABC8');
ALTER TABLE coupon DROP CONSTRAINT gifts;
INSERT INTO coupon (code) VALUES ('GIFT-ABC8');
SELECT status FROM redeem_coupon(1, 'GIFT-ABC8');
ROLLBACK;
SELECT status FROM redeem_coupon(1, 'GIFT-ABC8');
ALTER TABLE coupon DROP CONSTRAINT gifts;
INSERT INTO coupon (code) VALUES ('GIFT-ABC8');
SELECT status FROM redeem_coupon(1, 'GIFT-ABC8');
DELETE FROM coupon_redemption; DELETE FROM coupon;

-- Several, with alphabets of their own, however the arguments are written.
ALTER TABLE coupon ADD CHECK (coupon_code_fits(alphabet => '0123456789', code => code, pattern => 'N-???')),
  ADD CHECK (coupon_code_fits(code, 'L-???', 'abcd'));
INSERT INTO coupon (code) VALUES ('N-120');
INSERT INTO coupon (code) VALUES ('L-ABC');
BEGIN;
SELECT looks() IS NOT NULL;
SELECT status, looks() FROM redeem_coupon(1, 'n-120');
SELECT status, looks() FROM redeem_coupon(1, 'l-abc');
SELECT status, looks() FROM redeem_coupon(1, 'l-abe');
ROLLBACK;
DO $$ BEGIN
  EXECUTE (SELECT string_agg('ALTER TABLE coupon DROP CONSTRAINT ' || conname, '; ') FROM pg_constraint WHERE conname LIKE 'coupon_code_check%');
END $$;
-- What only resembles such a constraint rules nothing out.
CREATE FUNCTION public.coupon_code_fits(text, text, text, boolean) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
ALTER TABLE coupon ADD CHECK (coupon_code_fits(code, 'GIFT-????') OR active),
  ADD CHECK (coupon_code_fits('GIFT-ABC6', 'GIFT-????')),
  ADD CHECK (coupon_code_fits(terms ->> 'code', 'GIFT-????')),
  ADD CHECK (coupon_code_fits(code, coalesce(terms ->> 'pattern', '??????????????'))),
  ADD CHECK (coupon_code_fits(code, NULL)),
  ADD CHECK (coupon_code_fits(code, 'GIFT-????', '0', true));
INSERT INTO coupon (code) VALUES ('GIFT-ABC8');
SELECT status FROM redeem_coupon(1, 'GIFT-ABC8');
DELETE FROM coupon_redemption; DELETE FROM coupon;
DROP FUNCTION coupon_code_fits(text, text, text, boolean) CASCADE;
-- The arguments are not run: this holds for all rows, and is not relied on.
CREATE FUNCTION shout() RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'I am run'; RETURN 'GIFT-????'; END $$;
ALTER TABLE coupon ADD CONSTRAINT shouted CHECK (coupon_code_fits(code, shout()));
BEGIN;
SELECT looks() IS NOT NULL;
SELECT status, looks() FROM redeem_coupon(1, 'GIFT-ABC8');
ROLLBACK;
DROP FUNCTION shout CASCADE;
DROP FUNCTION looks;
DROP EXTENSION coupon_guard;
