-- The right to EXECUTE is the right to redeem, and nobody has it unless it was granted.
\a \t
CREATE ROLE regress_coupon_clerk;
CREATE ROLE regress_coupon_nobody;
CREATE ROLE regress_coupon_shop;
CREATE EXTENSION coupon_guard;
-- GRANT or REVOKE for each form of redeem_coupon()
CREATE PROCEDURE pg_temp.let_redeem(command text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT string_agg(format(command, oid::regprocedure), '; ') FROM pg_proc WHERE proname = 'redeem_coupon');
END $$;
INSERT INTO coupon (code, terms) VALUES ('ONCE', '{"percent_off": 10}');

-- PUBLIC may execute nothing that writes, and see no table.
SELECT p.oid::regprocedure AS writes_and_is_public FROM pg_proc p
  JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard')
   AND p.provolatile = 'v' AND has_function_privilege('regress_coupon_nobody', p.oid, 'EXECUTE');
SELECT c.oid::regclass AS is_public FROM pg_class c
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard') AND c.relkind IN ('r', 'v')
   AND has_table_privilege('regress_coupon_nobody', c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE');
SET ROLE regress_coupon_nobody;
SELECT status FROM redeem_coupon(1, 'ONCE');
SELECT status FROM redeem_coupon('ann'::text, 'ONCE');
SELECT status FROM redeem_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'ONCE');
SELECT status FROM redeem_coupon_strict(1, 'ONCE');
SELECT status FROM redeem_coupon_strict('ann'::text, 'ONCE');
SELECT status FROM redeem_coupon_strict('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'ONCE');
SELECT coupon_key(' Once ');
RESET ROLE;

-- Nor can it be had through the trigger function: a table of one's own does not get it.
SET ROLE regress_coupon_nobody;
CREATE TEMP TABLE mine (id bigint, code text);
CREATE TRIGGER mine BEFORE DELETE ON mine FOR EACH ROW EXECUTE FUNCTION coupon_guard_follow_coupon();
DROP TABLE mine;
RESET ROLE;

-- EXECUTE on redeem_coupon alone: can redeem, and nothing else.
CALL pg_temp.let_redeem('GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
SET ROLE regress_coupon_clerk;
SELECT status, use_no, terms FROM redeem_coupon(1, 'ONCE', metadata => '{"order": 17}');
SELECT status, use_no FROM redeem_coupon(1, 'ONCE');
SELECT status FROM redeem_coupon('ann'::text, 'ONCE');
SELECT status FROM redeem_coupon_strict(2, 'ONCE');
SELECT code FROM coupon;
SELECT user_id FROM coupon_redemption;
INSERT INTO coupon (code) VALUES ('MINE');
UPDATE coupon SET max_per_user = NULL;
DELETE FROM coupon_redemption;
TRUNCATE coupon_redemption;
SELECT nextval('coupon_redemption_id_seq');
ALTER TABLE coupon_redemption DISABLE TRIGGER ALL;
CREATE TRIGGER mine AFTER INSERT ON coupon_redemption EXECUTE FUNCTION coupon_guard_follow_coupon();
CREATE INDEX ON coupon_redemption (user_id);
RESET ROLE;

-- Taking the right away takes effect.
CALL pg_temp.let_redeem('REVOKE EXECUTE ON FUNCTION %s FROM regress_coupon_clerk');
SET ROLE regress_coupon_clerk;
SELECT status FROM redeem_coupon(3, 'ONCE');
RESET ROLE;
CALL pg_temp.let_redeem('GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');

-- Row security does not stop the guard, nor blind it.
ALTER TABLE coupon ENABLE ROW LEVEL SECURITY;
ALTER TABLE coupon_redemption ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
SET ROLE regress_coupon_clerk;
SELECT status FROM redeem_coupon(3, 'ONCE');
SELECT status FROM redeem_coupon(3, 'ONCE');
RESET ROLE;
ALTER TABLE coupon DISABLE ROW LEVEL SECURITY;
ALTER TABLE coupon_redemption DISABLE ROW LEVEL SECURITY;

-- A constraint that fails does not show the row to who may not read it.
ALTER TABLE coupon_redemption ADD CONSTRAINT no_robots CHECK (user_id <> 'robot');
CREATE UNIQUE INDEX one_note ON coupon_redemption ((metadata ->> 'order'));
SET ROLE regress_coupon_clerk;
SELECT status FROM redeem_coupon('robot'::text, 'ONCE');
SELECT status FROM redeem_coupon('bob'::text, 'ONCE', metadata => '{"order": 17}');
RESET ROLE;
DROP INDEX one_note;

-- A shop's trigger runs as who redeems, unless it says otherwise.
CREATE TABLE seen (user_id text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seen VALUES (NEW.user_id);
  RETURN NULL;
END $$;
CREATE TRIGGER see AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION see();
\set SHOW_CONTEXT never
SET ROLE regress_coupon_clerk;
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
RESET ROLE;
ALTER FUNCTION see() SECURITY DEFINER;
SET ROLE regress_coupon_clerk;
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
RESET ROLE;
SELECT user_id FROM seen;

DROP TRIGGER see ON coupon_redemption;

-- A SECURITY DEFINER function can narrow the right further.
CREATE FUNCTION redeem_for_me(code text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
  'SELECT status::text FROM public.redeem_coupon(session_user::text, code)';
SET ROLE regress_coupon_nobody;
SELECT redeem_for_me('ONCE');
RESET ROLE;
DROP FUNCTION redeem_for_me;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
DROP FUNCTION see;
DROP TABLE seen;

-- Trusted: who may CREATE in the database need not be superuser, and owns what it made.
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_coupon_shop', current_database()); END $$;
CREATE SCHEMA shop AUTHORIZATION regress_coupon_shop;
SET ROLE regress_coupon_shop;
CREATE EXTENSION coupon_guard SCHEMA shop;
INSERT INTO shop.coupon (code) VALUES ('ONCE');
SELECT status FROM shop.redeem_coupon(1, 'ONCE');
CALL pg_temp.let_redeem('GRANT EXECUTE ON FUNCTION %s TO regress_coupon_clerk');
GRANT USAGE ON SCHEMA shop TO regress_coupon_clerk;
SET ROLE regress_coupon_clerk;
SELECT status FROM shop.redeem_coupon(2, 'ONCE');
SET ROLE regress_coupon_shop;
SELECT user_id FROM shop.coupon_redemption ORDER BY id;
DELETE FROM shop.coupon;
UPDATE shop.coupon SET active = false;
CREATE INDEX ON shop.coupon_redemption (redeemed_at);
RESET ROLE;
SELECT pg_describe_object(classid, objid, 0) AS belongs_to_another FROM pg_depend d
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard')
   AND NOT (classid = 'pg_type'::regclass AND objid IN (SELECT typarray FROM pg_type)) -- members in their own right since 18
   AND 'regress_coupon_shop'::regrole NOT IN (
     SELECT relowner FROM pg_class WHERE oid = objid AND classid = 'pg_class'::regclass
     UNION ALL SELECT proowner FROM pg_proc WHERE oid = objid AND classid = 'pg_proc'::regclass
     UNION ALL SELECT typowner FROM pg_type WHERE oid = objid AND classid = 'pg_type'::regclass)
 ORDER BY 1;
-- Without that right on the database it cannot.
SET ROLE regress_coupon_shop;
TRUNCATE shop.coupon_redemption, shop.coupon;
DROP EXTENSION coupon_guard;
RESET ROLE;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_coupon_shop', current_database()); END $$;
SET ROLE regress_coupon_shop;
CREATE EXTENSION coupon_guard SCHEMA shop;
RESET ROLE;
DROP SCHEMA shop;
DROP ROLE regress_coupon_clerk, regress_coupon_nobody, regress_coupon_shop;
