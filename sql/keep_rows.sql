-- Coupons and redemptions are never dropped along with something else: the extension, its schema, all that a role owns.
\a \t
CREATE ROLE regress_keeper;
CREATE ROLE regress_stranger;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_keeper, regress_stranger', current_database()) \gexec
SET ROLE regress_keeper;
CREATE SCHEMA promo;
CREATE EXTENSION coupon_guard SCHEMA promo;
-- Without a row it goes, in each of these ways.
DROP EXTENSION coupon_guard;
CREATE EXTENSION coupon_guard SCHEMA promo;
SET client_min_messages = error;
DROP SCHEMA promo CASCADE;
CREATE SCHEMA promo;
CREATE EXTENSION coupon_guard SCHEMA promo;
DROP OWNED BY regress_keeper CASCADE;
RESET ROLE;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_keeper', current_database()) \gexec
SET ROLE regress_keeper;
CREATE SCHEMA promo;
CREATE EXTENSION coupon_guard SCHEMA promo;

-- With one coupon that nobody has redeemed yet
INSERT INTO promo.coupon (id, code, max_redemptions) VALUES (1, 'DROP', 10);
DROP EXTENSION coupon_guard;
\set VERBOSITY terse
DROP EXTENSION coupon_guard RESTRICT;
DROP EXTENSION coupon_guard CASCADE;
DROP EXTENSION IF EXISTS coupon_guard, no_such_extension;
DROP SCHEMA promo;
DROP SCHEMA promo CASCADE;
DROP SCHEMA IF EXISTS no_such_schema, promo CASCADE;
DROP OWNED BY regress_keeper;
DROP OWNED BY regress_keeper CASCADE;
DROP OWNED BY CURRENT_ROLE CASCADE;
RESET ROLE;
DROP EXTENSION coupon_guard CASCADE;
DROP OWNED BY no_such_role;

-- Where one of its objects is, there the whole extension would go.
CREATE SCHEMA elsewhere;
ALTER FUNCTION promo.coupon_key SET SCHEMA elsewhere;
DROP SCHEMA elsewhere CASCADE;
ALTER FUNCTION elsewhere.coupon_key SET SCHEMA promo;
ALTER TABLE promo.coupon_redemption SET SCHEMA elsewhere;
DROP SCHEMA elsewhere CASCADE;
ALTER TABLE elsewhere.coupon_redemption SET SCHEMA promo;
ALTER TYPE promo.coupon_status SET SCHEMA elsewhere;
DROP SCHEMA elsewhere CASCADE;
ALTER TYPE elsewhere.coupon_status SET SCHEMA promo;
DROP SCHEMA elsewhere CASCADE;
-- Whatever it hangs on, with CASCADE; in a session that has not used it either.
ALTER TABLE promo.coupon_redemption DROP COLUMN use_no;
\c -
\set VERBOSITY terse
SET client_min_messages = error;
ALTER TABLE promo.coupon_redemption DROP COLUMN use_no CASCADE;
CREATE TABLE promo.notes (id int);
DO $$ BEGIN
  EXECUTE format('CREATE OR REPLACE VIEW promo.coupon_usage AS SELECT u.*, (SELECT count(*) FROM promo.notes) AS notes FROM (%s) AS u',
    rtrim(pg_get_viewdef('promo.coupon_usage'), ';'));
END $$;
DROP TABLE promo.notes CASCADE;
\c -
\set VERBOSITY terse
SET client_min_messages = error;
DROP SCHEMA promo CASCADE;
-- Under another name too
ALTER TABLE promo.coupon RENAME TO voucher;
DROP EXTENSION coupon_guard;
ALTER TABLE promo.voucher RENAME TO coupon;

-- A row of this transaction is one, too; one that is gone is none.
BEGIN;
TRUNCATE promo.coupon;
INSERT INTO promo.coupon_redemption (coupon_id, user_id, use_no) VALUES (2, '1', 1);
SAVEPOINT s;
DROP EXTENSION coupon_guard;
ROLLBACK TO s;
DELETE FROM promo.coupon_redemption;
DROP EXTENSION coupon_guard;
ROLLBACK;

-- What has nothing to do with it goes as ever.
CREATE SCHEMA other CREATE TABLE things (id int);
DROP SCHEMA other CASCADE;
CREATE SCHEMA elsewhere;
CREATE EXTENSION citext SCHEMA elsewhere;
DROP EXTENSION citext;
DROP SCHEMA elsewhere;
CREATE TABLE promo.orders (id int);
DROP TABLE promo.orders;
-- Who may not drop it hears that.
SET ROLE regress_stranger;
DROP EXTENSION coupon_guard;
DROP SCHEMA promo CASCADE;
DROP OWNED BY regress_keeper;
CREATE SCHEMA strange;
DROP OWNED BY regress_stranger;
RESET ROLE;
-- Nobody calls it, and it is no trigger of a table.
SELECT promo.coupon_guard_keep_rows();
CREATE TRIGGER keep_rows BEFORE INSERT ON promo.coupon FOR EACH ROW EXECUTE FUNCTION promo.coupon_guard_keep_rows();

-- One way out: to give up what is in them.
SET ROLE regress_keeper;
SELECT status FROM promo.redeem_coupon(1, 'DROP');
TRUNCATE promo.coupon_redemption, promo.coupon;
BEGIN;
DROP EXTENSION coupon_guard;
ROLLBACK;
-- The other: to make them tables of one's own.
INSERT INTO promo.coupon (id, code) VALUES (1, 'DROP');
SELECT status FROM promo.redeem_coupon(1, 'DROP');
ALTER EXTENSION coupon_guard DROP TABLE promo.coupon;
DROP EXTENSION coupon_guard CASCADE;
ALTER EXTENSION coupon_guard DROP TABLE promo.coupon_redemption;
ALTER EXTENSION coupon_guard DROP SEQUENCE promo.coupon_id_seq;
ALTER EXTENSION coupon_guard DROP SEQUENCE promo.coupon_redemption_id_seq;
ALTER TABLE promo.coupon ALTER COLUMN code_key DROP EXPRESSION;
DROP EXTENSION coupon_guard CASCADE;
SELECT id, code, code_key FROM promo.coupon;
INSERT INTO promo.coupon_redemption (coupon_id, user_id, use_no) VALUES (1, '1', 1);
INSERT INTO promo.coupon_redemption (coupon_id, user_id, use_no) VALUES (1, '2', 1) RETURNING id;
SELECT count(*) FROM pg_trigger WHERE tgrelid::regclass::text ~ '^promo';
DROP SCHEMA promo CASCADE;
RESET ROLE;
SELECT evtname FROM pg_event_trigger;
DROP OWNED BY regress_keeper, regress_stranger;
DROP ROLE regress_keeper, regress_stranger;
