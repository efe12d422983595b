-- Whoever owns the extension (a plain role: it is trusted) gains nothing by it: what the owner has put on the tables runs as who redeems, as in any
-- INSERT, or as its owner where the server sees to that; and what the owner may ALTER of the functions does not bring the server down.
\a \t
CREATE ROLE regress_coupon_mallory;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_coupon_mallory', current_database()); END $$;
CREATE SCHEMA shop AUTHORIZATION regress_coupon_mallory;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
SET ROLE regress_coupon_mallory;
CREATE EXTENSION coupon_guard SCHEMA shop;
INSERT INTO shop.coupon (code, max_redemptions) VALUES ('X', 100000), ('Y', NULL);

-- Units that were taken ahead go back before the commit, and a trigger on the quota hears of it. The server runs functions in indexes and
-- materialized views as their table's owner when it maintains them; what these take must not go back as the superuser who maintains.
CREATE TABLE shop.ran (as_role text);
GRANT INSERT ON shop.ran TO PUBLIC;
\set ECHO none
CREATE FUNCTION shop.note_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO shop.ran VALUES (current_user);
  PERFORM set_config('search_path', 'shop', false);
  RETURN NULL;
END $$;
CREATE FUNCTION shop.redeem_some(anything int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM shop.redeem_coupon(gen_random_uuid(), 'X') FROM generate_series(1, 6);
  RETURN 1;
END $$;
CREATE FUNCTION shop.redeem_for_me() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT shop.redeem_some(1)';
CREATE PROCEDURE pg_temp.try(command text) LANGUAGE plpgsql AS $$
DECLARE
  roles text;
BEGIN
  DELETE FROM shop.ran;
  COMMIT;
  EXECUTE command;
  COMMIT;
  SELECT string_agg(DISTINCT as_role, ', ') INTO roles FROM shop.ran;
  RAISE INFO '%: %', command, CASE roles WHEN session_user THEN 'the superuser' ELSE roles END;
  COMMIT;
END $$;
\set ECHO all
CREATE TRIGGER zz AFTER INSERT OR UPDATE OR DELETE ON shop.coupon_quota FOR EACH ROW EXECUTE FUNCTION shop.note_role();
CREATE TABLE shop.bait AS SELECT x FROM generate_series(1, 3) AS x;
CREATE INDEX bait_some ON shop.bait (shop.redeem_some(x));
CREATE MATERIALIZED VIEW shop.bait_seen AS SELECT shop.redeem_some(x) AS x FROM shop.bait;
CREATE UNIQUE INDEX bait_x ON shop.bait (x);
RESET ROLE;
\set VERBOSITY terse
CALL pg_temp.try('ANALYZE shop.bait');
CALL pg_temp.try('CREATE INDEX ON shop.bait (shop.redeem_some(x))');
CALL pg_temp.try('REINDEX TABLE shop.bait');
CALL pg_temp.try('CLUSTER shop.bait USING bait_x');
CALL pg_temp.try('REFRESH MATERIALIZED VIEW shop.bait_seen');
SHOW search_path;
CALL pg_temp.try('SELECT shop.redeem_for_me()');
-- As any INSERT into a table of somebody else: its triggers run as who inserts.
CALL pg_temp.try('SELECT shop.redeem_some(1)');
RESET search_path;
-- Deferred, it would run when the maintenance is over: refused, as every deferred trigger there.
DROP TRIGGER zz ON shop.coupon_quota;
CREATE CONSTRAINT TRIGGER zz AFTER INSERT OR UPDATE OR DELETE ON shop.coupon_quota DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION shop.note_role();
TRUNCATE shop.ran;
ANALYZE shop.bait;
\echo :SQLSTATE
SELECT count(*) FROM shop.ran;
SELECT * FROM shop.coupon_guard_verify();
DROP TABLE shop.bait CASCADE;
DROP TRIGGER zz ON shop.coupon_quota;

-- A function's owner can have it called with NULL where it is STRICT. All NULL: an answer, or an error that says what is missing.
\set ECHO none
CREATE TEMP VIEW member AS
SELECT p.* FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass
   AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard') AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype);
CREATE FUNCTION pg_temp.outcome(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  EXECUTE command INTO answer;
  RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = CASE WHEN answer IS NULL THEN 'null' ELSE 'an answer' END;
EXCEPTION
  WHEN SQLSTATE 'UNDO0' THEN RETURN sqlerrm;
  WHEN OTHERS THEN RETURN sqlstate;
END $$;
\set ECHO all
DO $$
DECLARE
  name regprocedure;
BEGIN
  FOR name IN SELECT oid FROM member WHERE proisstrict LOOP
    EXECUTE format('ALTER FUNCTION %s CALLED ON NULL INPUT', name);
  END LOOP;
END $$;
SELECT outcome, string_agg(DISTINCT proname, ', ' ORDER BY proname) AS functions
  FROM (SELECT proname, pg_temp.outcome(format('SELECT shop.%I(%s)', proname,
          (SELECT string_agg(format('NULL::%s', t::regtype), ', ' ORDER BY no) FROM unnest(proargtypes) WITH ORDINALITY a (t, no)))) AS outcome FROM member WHERE proname !~ 'stats') AS called -- which need preloading
 GROUP BY outcome ORDER BY outcome;

-- What everybody may call keeps no lock that would hinder the owner.
BEGIN;
SELECT shop.coupon_guard_generation() IS NOT NULL AS is_there;
SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'shop.coupon_redemption'::regclass;
COMMIT;

-- Functions of ours made into something else: aggregates, operators, columns' defaults, expressions of indexes and constraints.
SET ROLE regress_coupon_mallory;
CREATE AGGREGATE shop.faults(*) (SFUNC = shop.coupon_guard_user_id_fault, STYPE = text, INITCOND = '01');
CREATE AGGREGATE shop.keys(*) (SFUNC = shop.coupon_key, STYPE = text, INITCOND = 'ABC');
CREATE AGGREGATE shop.confirm_last(bigint) (SFUNC = int8larger, STYPE = bigint, FINALFUNC = shop.confirm_hold);
CREATE FUNCTION shop.larger(bigint, bigint, text) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE shop.void_last(bigint, text) (SFUNC = shop.larger, STYPE = bigint, FINALFUNC = shop.void_redemption, FINALFUNC_EXTRA);
CREATE OPERATOR shop.### (LEFTARG = bigint, RIGHTARG = text, FUNCTION = shop.void_redemption, RESTRICT = eqsel, JOIN = eqjoinsel);
CREATE OPERATOR shop.### (LEFTARG = text, RIGHTARG = text, FUNCTION = shop.check_coupon);
CREATE OPERATOR shop.### (RIGHTARG = bigint, FUNCTION = shop.confirm_hold);
SELECT pg_temp.outcome('SELECT shop.faults(*) FROM generate_series(1, 3)') AS faults,
       pg_temp.outcome('SELECT shop.keys(*) FROM generate_series(1, 3)') AS keys,
       pg_temp.outcome('SELECT shop.confirm_last(id) FROM shop.coupon_redemption') AS confirm_last,
       pg_temp.outcome('SELECT shop.confirm_last(id) OVER (ORDER BY id) FROM shop.coupon_redemption') AS confirm_window,
       pg_temp.outcome('SELECT shop.void_last(id, ''no'') FROM shop.coupon_redemption') AS void_last,
       pg_temp.outcome('SELECT count(*) FROM shop.coupon_redemption WHERE id OPERATOR(shop.###) user_id') AS void_operator,
       pg_temp.outcome('SELECT ''1''::text OPERATOR(shop.###) ''X''::text') AS check_operator,
       pg_temp.outcome('SELECT count(OPERATOR(shop.###) id) FROM shop.coupon_redemption') AS confirm_operator;
\set ECHO none
CREATE FUNCTION pg_temp.redeems_after(change text) RETURNS text LANGUAGE sql AS $$ SELECT pg_temp.outcome(change || '; SELECT shop.redeem_coupon(77, ''X'')') $$;
\set ECHO all
ALTER FUNCTION shop.redeem_coupon(bigint, text, text, jsonb) IMMUTABLE;
ALTER FUNCTION shop.check_coupon(bigint, text) IMMUTABLE;
-- A redemption that redeems, without an end: what has no end is the stack's, and not the server's (54001).
DELETE FROM shop.coupon_redemption;
SELECT pg_temp.redeems_after('CREATE INDEX again ON shop.coupon_redemption (((shop.redeem_coupon(use_no + id, ''X'')).redemption_id))') AS in_index,
       pg_temp.redeems_after('CREATE INDEX again ON shop.coupon_redemption (id) WHERE (shop.redeem_coupon(id, ''X'')).use_no > 0') AS in_predicate,
       pg_temp.redeems_after('CREATE INDEX again ON shop.coupon_redemption (id) WHERE (shop.redeem_coupon(1, ''X'')).use_no > 0') AS in_constant_predicate,
       pg_temp.redeems_after('CREATE INDEX again ON shop.coupon_redemption (id) WHERE (shop.check_coupon(1, ''X'')).remaining_uses >= 0') AS in_looking_predicate,
       pg_temp.redeems_after('ALTER TABLE shop.coupon_redemption ADD CHECK ((shop.redeem_coupon(id, ''X'')).use_no > 0)') AS in_check,
       pg_temp.redeems_after('ALTER TABLE shop.coupon_redemption ADD COLUMN more bigint GENERATED ALWAYS AS ((shop.redeem_coupon(id, ''X'')).redemption_id) STORED') AS in_generated,
       pg_temp.redeems_after('ALTER TABLE shop.coupon_redemption ADD COLUMN more bigint; ALTER TABLE shop.coupon_redemption ALTER more SET DEFAULT (shop.redeem_coupon(78, ''X'')).redemption_id') AS in_default,
       pg_temp.redeems_after('ALTER TABLE shop.coupon_quota ADD CHECK ((shop.redeem_coupon(remaining, ''X'')).use_no > 0) NOT VALID') AS in_check_of_quota,
       pg_temp.redeems_after('ALTER TABLE shop.coupon_quota ALTER generation SET DEFAULT (shop.redeem_coupon(78, ''X'')).use_no') AS in_default_of_quota;
SELECT * FROM shop.coupon_guard_verify();
ALTER FUNCTION shop.redeem_coupon(bigint, text, text, jsonb) VOLATILE;
ALTER FUNCTION shop.check_coupon(bigint, text) VOLATILE;

-- The server simplifies an index's expressions when it reads them, and so when the guard proves its tables. A function that redeems there, once:
-- the proof is made anew.
\set ECHO none
CREATE FUNCTION shop.once() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  IF set_config('shop.called', (current_setting('shop.called', true)::int + 1)::text, false) = '1' THEN
    RAISE NOTICE 'within: %', (SELECT status FROM shop.redeem_coupon(78, 'X'));
  END IF;
  RETURN true;
END $$;
\set ECHO all
SET shop.called = 9;
CREATE INDEX trap ON shop.coupon_redemption (redeemed_at) WHERE shop.once();
CREATE INDEX trap_of_quota ON shop.coupon_quota (remaining) WHERE shop.once();
ALTER TABLE shop.coupon ADD CONSTRAINT checked CHECK (shop.coupon_code_fits(code, 'SPRING-????'));
\c -
SET shop.called = 0;
SELECT status FROM shop.redeem_coupon(77, 'X');
SELECT status FROM shop.redeem_coupon(77, 'X');
SELECT status FROM shop.redeem_coupon(77, 'SPRING-2222');
SELECT user_id FROM shop.coupon_redemption WHERE user_id IN ('77', '78') ORDER BY id;
SELECT * FROM shop.coupon_guard_verify();

TRUNCATE shop.coupon_redemption, shop.coupon;
SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
RESET client_min_messages;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_coupon_mallory', current_database()); END $$;
DROP ROLE regress_coupon_mallory;
