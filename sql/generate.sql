-- generate_coupons(): codes at random, all different, all or nothing.
\a \t
CREATE EXTENSION coupon_guard;

-- As many as asked for, of the pattern, without look-alikes, for one use.
SELECT count(*), count(DISTINCT code), bool_and(code ~ '^SPRING-[2-9A-HJKMNP-Z]{4}-[2-9A-HJKMNP-Z]{5}$')
  FROM generate_coupons(NULL, 2500, 'SPRING-????-?????') code;
SELECT count(*), min(max_redemptions), min(max_per_user), bool_and(active), count(starts_at), count(expires_at), count(budget), count(terms)
  FROM coupon;
SELECT status FROM (SELECT code FROM coupon ORDER BY id LIMIT 1) c, redeem_coupon(1, lower(c.code));
DELETE FROM coupon_redemption; DELETE FROM coupon;

-- \? is a question mark, \\ a backslash.
SELECT generate_coupons(NULL, 2, 'WHY\?\\?', alphabet => 'YZ', max_share => 1) ORDER BY 1;
DELETE FROM coupon;

-- The columns are the caller's to choose.
SELECT count(*) FROM generate_coupons(NULL, 2, 'CARD-????????', active => false, starts_at => '2000-01-01', expires_at => '2100-01-01',
  max_redemptions => NULL, max_per_user => NULL, budget => 5000, terms => '{"for": "Ann"}');
SELECT active, starts_at = '2000-01-01', expires_at = '2100-01-01', max_redemptions, max_per_user, budget, terms FROM coupon;
SELECT count(*) FROM generate_coupons(NULL, 2, 'CAP-????????', max_redemptions => 10);
SELECT count(*), sum(remaining) FROM coupon_quota;
SELECT * FROM coupon_guard_verify();
\set VERBOSITY terse
SELECT generate_coupons(NULL, 1, 'CARD-????????', budget => -1) IS NULL;
SELECT generate_coupons(NULL, 1, 'CARD-????????', active => NULL) IS NULL;
\set VERBOSITY default
DELETE FROM coupon;

-- The campaign goes by its name, in any spelling.
INSERT INTO campaign (name, max_redemptions) VALUES ('Spring Sale', 1);
SELECT count(*) FROM generate_coupons(' spring sale', 2, 'SPRING-????????');
SELECT m.name, count(*) FROM coupon c JOIN campaign m ON m.id = c.campaign_id GROUP BY 1;
SELECT status FROM coupon c, LATERAL redeem_coupon(1, c.code) ORDER BY c.id;
SELECT generate_coupons('summer sale', 2, '????????');
SELECT generate_coupons(repeat('x', 3000), 2, '????????') IS NULL;
DELETE FROM coupon_redemption; DELETE FROM coupon; DELETE FROM campaign;

-- ---- how many codes a pattern must hold ----

SELECT generate_coupons(NULL, 852892, '????????');
SELECT generate_coupons(NULL, 27513, '????????', check_character => true);
SELECT generate_coupons(NULL, 101, '??', alphabet => '0123456789', max_share => 1);
SELECT generate_coupons(NULL, 10000, '?-?', alphabet => '0123456789', max_share => 0.5);
SELECT generate_coupons(NULL, 91, '???', alphabet => '0123456789', check_character => true, max_share => 1);
SELECT generate_coupons(NULL, 9223372036854775807, '????????');
-- Every code that there is, and not one more.
SELECT count(DISTINCT code), min(code), max(code) FROM generate_coupons(NULL, 100, 'N-??', alphabet => '0123456789', max_share => 1) code;
SELECT generate_coupons(NULL, 1, 'n-??', alphabet => '0123456789', max_share => 1);
SELECT count(*) FROM generate_coupons(NULL, 90, 'C-???', alphabet => '0123456789', check_character => true, max_share => 1);
SELECT count(*) FROM coupon;
-- What is there already, in any spelling, is drawn again.
DELETE FROM coupon;
INSERT INTO coupon (code) VALUES (' a-b'), ('Ａ-Ｃ');
SELECT * FROM generate_coupons(NULL, 2, 'A-?', alphabet => 'ABCD', max_share => 1) ORDER BY 1;
DELETE FROM coupon;

-- ---- what cannot be asked for ----

SELECT generate_coupons(NULL, NULL, '????????');
SELECT generate_coupons(NULL, 0, '????????');
SELECT generate_coupons(NULL, -1, '????????');
SELECT generate_coupons(NULL, 1, NULL);
SELECT generate_coupons(NULL, 1, '????????', alphabet => NULL);
SELECT generate_coupons(NULL, 1, '????????', check_character => NULL);
SELECT generate_coupons(NULL, 1, '????????', max_share => NULL);
SELECT generate_coupons(NULL, 1, '????????', max_share => 0);
SELECT generate_coupons(NULL, 1, '????????', max_share => 1.1);
SELECT generate_coupons(NULL, 1, '????????', max_share => 'NaN');
SELECT generate_coupons(NULL, 1, '????????', notice_every => 0);
SELECT generate_coupons(NULL, 1, '');
SELECT generate_coupons(NULL, 1, 'SAVE10');
SELECT generate_coupons(NULL, 1, 'A\B????????');
SELECT generate_coupons(NULL, 1, '????????\');
SELECT generate_coupons(NULL, 1, repeat('?', 256));
SELECT generate_coupons(NULL, 1, '????????' || repeat('x', 10000000));
SELECT generate_coupons(NULL, 1, 'A?', check_character => true, max_share => 1);
SELECT generate_coupons(NULL, 1, E'\U00000378????????');
SELECT generate_coupons(NULL, 1, '????????', alphabet => '');
SELECT generate_coupons(NULL, 1, '????????', alphabet => 'A');
SELECT generate_coupons(NULL, 1, '????????', alphabet => repeat('A', 10000000));
SELECT generate_coupons(NULL, 1, '????????', alphabet => 'ABCabc');
SELECT generate_coupons(NULL, 1, '????????', alphabet => 'AＡ');
SELECT generate_coupons(NULL, 1, '????????', alphabet => 'A ');
SELECT generate_coupons(NULL, 1, '????????', alphabet => E'A\u200B') ~ 'x';
SELECT generate_coupons(NULL, 1, '????????', alphabet => 'Aß');
SELECT generate_coupons(NULL, 1, '????????', alphabet => E'ab\u0301') ~ 'x';
SELECT generate_coupons(NULL, 1, '????????', alphabet => E'A\U00000378') ~ 'x';
SELECT count(*) FROM coupon;

-- ---- all or nothing ----

-- In a transaction that is rolled back, or to a savepoint.
BEGIN;
SELECT count(*) FROM generate_coupons(NULL, 3, '????????');
SAVEPOINT s;
SELECT count(*) FROM generate_coupons(NULL, 3, '????????');
ROLLBACK TO s;
SELECT count(*) FROM coupon;
ROLLBACK;
SELECT count(*) FROM coupon;
-- LIMIT takes nothing away; so it does not in the middle of a query.
SELECT count(*) FROM (SELECT generate_coupons(NULL, 3, '????????') LIMIT 1) one;
SELECT count(*) FROM coupon;
DELETE FROM coupon;
-- Cancelled in the middle.
\set ECHO none
CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_cancel_backend(pg_backend_pid());
  RETURN NEW;
END $$;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE NOTICE '% % %: % coupons', tg_when, tg_op, tg_level, (SELECT count(*) FROM coupon);
  RETURN NEW;
END $$;
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF tg_argv[0] = 'terms' THEN new.terms := '{"by": "trigger"}'; END IF;
  IF tg_argv[0] = 'code' THEN new.code := 'X' || new.code; END IF;
  RETURN CASE WHEN tg_argv[0] <> 'suppress' THEN new END;
END $$;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no more'; END $$;
\set ECHO all
\set VERBOSITY terse
CREATE TRIGGER cancel BEFORE INSERT ON coupon FOR EACH ROW WHEN (new.id % 1500 = 0) EXECUTE FUNCTION cancel();
SELECT count(*) FROM generate_coupons(NULL, 5000, '????????');
SELECT count(*) FROM coupon;
DROP TRIGGER cancel ON coupon;

-- ---- what the shop has put on the table ----

ALTER TABLE coupon ADD COLUMN channel text NOT NULL DEFAULT 'web', ADD COLUMN note text;
SELECT count(*) FROM generate_coupons(NULL, 2, '????????');
SELECT DISTINCT channel, note FROM coupon;
DELETE FROM coupon;
ALTER TABLE coupon ALTER COLUMN channel DROP DEFAULT;
SELECT generate_coupons(NULL, 2, '????????') IS NULL;
ALTER TABLE coupon DROP COLUMN channel, DROP COLUMN note, ADD CONSTRAINT short CHECK (length(code) < 5);
SELECT generate_coupons(NULL, 2, '????????') IS NULL;
ALTER TABLE coupon DROP CONSTRAINT short;
CREATE TRIGGER change BEFORE INSERT ON coupon FOR EACH ROW EXECUTE FUNCTION change('terms');
SELECT count(*) FROM generate_coupons(NULL, 1, '????????', terms => '{}');
SELECT terms FROM coupon;
DROP TRIGGER change ON coupon;
CREATE TRIGGER change BEFORE INSERT ON coupon FOR EACH ROW EXECUTE FUNCTION change('code');
SELECT count(*) FROM generate_coupons(NULL, 1, '????????');
DROP TRIGGER change ON coupon;
CREATE TRIGGER change BEFORE INSERT ON coupon FOR EACH ROW EXECUTE FUNCTION change('suppress');
SELECT count(*) FROM generate_coupons(NULL, 1, '????????');
DROP TRIGGER change ON coupon;
CREATE TRIGGER refuse AFTER INSERT ON coupon FOR EACH ROW WHEN (new.id % 1500 = 0) EXECUTE FUNCTION refuse();
SELECT count(*) FROM generate_coupons(NULL, 5000, '????????');
DROP TRIGGER refuse ON coupon;
SELECT count(*) FROM coupon;
DELETE FROM coupon;
-- Statement triggers see a thousand rows at a time.
CREATE TRIGGER tell_before BEFORE INSERT ON coupon EXECUTE FUNCTION tell();
CREATE TRIGGER tell_after AFTER INSERT ON coupon REFERENCING NEW TABLE AS made EXECUTE FUNCTION tell();
SELECT count(*) FROM generate_coupons(NULL, 1001, '????????');
DROP TRIGGER tell_before ON coupon; DROP TRIGGER tell_after ON coupon;
DELETE FROM coupon;
-- Row security does not stop it.
ALTER TABLE coupon ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE INDEX coupon_key_again ON coupon (lower(code));
SELECT count(*) FROM generate_coupons(NULL, 2, '????????');
ALTER TABLE coupon DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

-- ---- how far it is, and who may ----

SELECT count(*) FROM generate_coupons(NULL, 5, '????????', notice_every => 2);
CREATE ROLE regress_coupon_marketing;
SET ROLE regress_coupon_marketing;
SELECT count(*) FROM generate_coupons(NULL, 2, '????????');
SELECT coupon_code_fits('AB', '??');
RESET ROLE;
GRANT EXECUTE ON FUNCTION generate_coupons TO regress_coupon_marketing;
SET ROLE regress_coupon_marketing;
SELECT count(*) FROM generate_coupons(NULL, 2, '????????');
SELECT count(*) FROM coupon;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION generate_coupons FROM regress_coupon_marketing;
DROP ROLE regress_coupon_marketing;
BEGIN READ ONLY;
SELECT generate_coupons(NULL, 2, '????????');
ROLLBACK;
-- Whatever search_path says.
SET search_path = pg_catalog;
SELECT count(*) FROM public.generate_coupons(NULL, 2, '????????', max_redemptions => 5);
RESET search_path;
SELECT * FROM coupon_guard_verify();

DELETE FROM coupon;
DROP EXTENSION coupon_guard;
DROP FUNCTION cancel, tell, change, refuse;
