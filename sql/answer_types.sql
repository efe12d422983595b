-- The types in which the functions answer, the trigger functions and coupon_key() stay with the superuser who made the extension. Where a superuser
-- alters them, that is refused (55000) before a value of one type is taken for one of another.
\a \t
CREATE EXTENSION coupon_guard;
\set VERBOSITY sqlstate
INSERT INTO coupon (code, max_redemptions, max_per_user, terms) VALUES ('MANY', 100000, NULL, '{"off": 10}');
SELECT h.redemption_id AS hold FROM hold_coupon('holder'::text, 'MANY') h \gset
SELECT set_config('test.hold', :'hold', false) = :'hold' AS kept;

-- What each function says, the whole of its answer read, after a change that is undone: its status, or its SQLSTATE.
\set ECHO none
CREATE FUNCTION pg_temp.after(change text, question text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  BEGIN
    EXECUTE change;
  EXCEPTION WHEN OTHERS THEN
    RETURN 'no such change: ' || sqlstate;
  END;
  BEGIN
    EXECUTE question INTO answer;
    answer := split_part(btrim(answer, '('), ',', 1);
  EXCEPTION WHEN OTHERS THEN
    answer := sqlstate;
  END;
  RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = coalesce(answer, 'null');
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
  RETURN sqlerrm;
END $$;
CREATE TEMP TABLE question (type text, question text);
\set ECHO all
INSERT INTO question VALUES
  ('coupon_redeem_answer', 'SELECT r FROM redeem_coupon(1, ''MANY'', metadata => ''{"n": 1}'') r'), ('coupon_redeem_answer', 'SELECT redeem_coupon_strict(''ann''::text, ''MANY'')'),
  ('coupon_redeem_answer', 'SELECT confirm_hold(current_setting(''test.hold'')::bigint)'),
  ('coupon_hold_answer', 'SELECT h FROM hold_coupon(1, ''MANY'', request_id => ''h'') h'), ('coupon_check_answer', 'SELECT check_coupon(1, ''MANY'')');
CREATE TEMP VIEW answer AS
SELECT a.attrelid::regclass::text AS type, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS of_type, question
  FROM question q JOIN pg_class c ON c.relname = q.type JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped;
SELECT type, pg_temp.after('SELECT', question) FROM question;

-- An attribute of another type, more of them, fewer, as many but others
CREATE DOMAIN large AS bigint CHECK (VALUE > 1000000000);
SELECT type, count(*) > 50 AS many, string_agg(DISTINCT pg_temp.after(format('ALTER TYPE %s ALTER ATTRIBUTE %I TYPE %s', type, name, other), question), ', ') AS outcomes
  FROM answer, unnest(ARRAY['text', 'bytea', 'name', '"char"', 'boolean', 'smallint', 'integer', 'bigint', 'numeric', 'jsonb', 'timestamp with time zone', 'timestamp(0) with time zone',
         'coupon_status', 'coupon_status[]', 'large']) AS other
 WHERE other <> of_type GROUP BY type ORDER BY type;
SELECT type, string_agg(DISTINCT pg_temp.after(format('ALTER TYPE %s DROP ATTRIBUTE %I', type, name), question), ', ') AS dropped,
       string_agg(DISTINCT pg_temp.after(format('ALTER TYPE %1$s DROP ATTRIBUTE %2$I, ADD ATTRIBUTE %2$I %3$s', type, name, of_type), question), ', ') AS moved_to_the_end,
       string_agg(DISTINCT pg_temp.after(format('ALTER TYPE %1$s ADD ATTRIBUTE more %2$s', type, of_type), question), ', ') AS one_more,
       string_agg(DISTINCT pg_temp.after(format('ALTER TYPE %1$s ADD ATTRIBUTE more int; ALTER TYPE %1$s DROP ATTRIBUTE more', type), question), ', ') AS none_more
  FROM answer GROUP BY type ORDER BY type;
-- A name is nothing that a value is read by: right, or refused.
SELECT type, bool_and(pg_temp.after(format('ALTER TYPE %s RENAME ATTRIBUTE %I TO other', type, name), question) IN ('redeemed', 'held', '55000')) AS renamed
  FROM answer GROUP BY type ORDER BY type;

-- Nor is the label of a status; one more is none of ours.
SELECT bool_and(pg_temp.after(format('ALTER TYPE coupon_status RENAME VALUE %L TO ''other''', enumlabel), question) IN ('redeemed', 'held', 'other', '42704', '55000')) AS renamed
  FROM pg_enum, question WHERE enumtypid = 'coupon_status'::regtype;
SELECT string_agg(DISTINCT pg_temp.after('ALTER TYPE coupon_status ADD VALUE ''first'' BEFORE ''redeemed''; ALTER TYPE coupon_status ADD VALUE ''last''', question), ', ') FROM question;

-- In plans and cursors that knew the type before, and in a session that has not asked yet
PREPARE asked AS SELECT status, use_no FROM redeem_coupon(2, 'MANY');
EXECUTE asked;
BEGIN;
ALTER TYPE coupon_redeem_answer ALTER ATTRIBUTE use_no TYPE text;
EXECUTE asked;
ROLLBACK;
BEGIN;
DECLARE answers CURSOR FOR SELECT r.status, r.terms FROM generate_series(11, 13) i, LATERAL redeem_coupon(i, 'MANY') r;
FETCH answers;
ALTER TYPE coupon_redeem_answer ALTER ATTRIBUTE terms TYPE int8;
FETCH answers;
ROLLBACK;
EXECUTE asked;
ALTER TYPE coupon_redeem_answer ALTER ATTRIBUTE terms TYPE int8;
SELECT r FROM redeem_coupon(3, 'MANY') r;
EXECUTE asked;
\c -
\set VERBOSITY sqlstate
SELECT r FROM redeem_coupon(3, 'MANY') r;
SELECT status FROM redeem_coupon(3, 'MANY');
SELECT status FROM check_coupon(3, 'MANY');
ALTER TYPE coupon_redeem_answer ALTER ATTRIBUTE terms TYPE jsonb;
SELECT status, use_no, terms FROM redeem_coupon(3, 'MANY');
\c -
\set VERBOSITY sqlstate
BEGIN;
ALTER TYPE coupon_check_answer ALTER ATTRIBUTE remaining_uses TYPE bytea;
SELECT remaining_uses FROM check_coupon(3, 'MANY');
ROLLBACK;
SELECT status, remaining_uses, remaining_units FROM check_coupon(3, 'MANY');
SELECT count(*) FROM coupon_redemption WHERE user_id = '3';
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
DROP DOMAIN large;

-- Who made the extension without being a superuser owns the tables and what buyers call; not the types, the trigger functions and coupon_key().
CREATE ROLE regress_coupon_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_coupon_owner', current_database()); END $$;
CREATE SCHEMA shop AUTHORIZATION regress_coupon_owner;
CREATE SCHEMA elsewhere AUTHORIZATION regress_coupon_owner;
\set ECHO none
CREATE FUNCTION pg_temp.sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RAISE EXCEPTION SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
  RETURN 'done';
WHEN OTHERS THEN
  RETURN sqlstate;
END $$;
\set ECHO all
SET ROLE regress_coupon_owner;
CREATE EXTENSION coupon_guard SCHEMA shop;
INSERT INTO shop.coupon (code) VALUES ('ONCE');
SELECT status FROM shop.redeem_coupon(1, 'ONCE');
SELECT command, string_agg(DISTINCT pg_temp.sqlstate_of(format(command, type)), ', ') AS outcomes
  FROM pg_type t, LATERAL format('shop.%I', t.typname) AS type,
       unnest('{ALTER TYPE %s RENAME ATTRIBUTE status TO state, ALTER TYPE %s ALTER ATTRIBUTE status TYPE text, ALTER TYPE %s DROP ATTRIBUTE status,
    ALTER TYPE %s ADD ATTRIBUTE more int, ALTER TYPE %s RENAME TO other, ALTER TYPE %s SET SCHEMA elsewhere, ALTER TYPE %s OWNER TO regress_coupon_owner, COMMENT ON TYPE %s IS NULL,
    ALTER EXTENSION coupon_guard DROP TYPE %s}'::text[]) AS command
 WHERE typnamespace = 'shop'::regnamespace AND typname LIKE 'coupon%answer' GROUP BY command ORDER BY command COLLATE "C";
SELECT command, pg_temp.sqlstate_of(command) FROM unnest(ARRAY['ALTER TYPE shop.coupon_status ADD VALUE ''more''', 'ALTER TYPE shop.coupon_status RENAME VALUE ''redeemed'' TO ''done''',
    'ALTER TYPE shop.coupon_status RENAME TO other', 'ALTER TYPE shop.coupon_status SET SCHEMA elsewhere', 'ALTER EXTENSION coupon_guard DROP TYPE shop.coupon_status']) AS command;
-- One trigger function is his: coupon_guard_refuse_moved(), which is SQL, and which nothing takes on trust.
SELECT command, string_agg(DISTINCT pg_temp.sqlstate_of(format(command, p.oid::regprocedure)), ', ') AS outcomes
  FROM pg_proc p,
       unnest('{ALTER FUNCTION %s RENAME TO other, ALTER FUNCTION %s SET SCHEMA elsewhere, ALTER FUNCTION %s OWNER TO regress_coupon_owner, ALTER FUNCTION %s VOLATILE PARALLEL UNSAFE,
    ALTER FUNCTION %s SET work_mem = 64, ALTER FUNCTION %s SECURITY DEFINER, ALTER EXTENSION coupon_guard DROP FUNCTION %s}'::text[]) AS command
 WHERE pronamespace = 'shop'::regnamespace AND (prorettype = 'trigger'::regtype OR proname = 'coupon_key') AND proname <> 'coupon_guard_refuse_moved'
 GROUP BY command ORDER BY command COLLATE "C";
SELECT pg_temp.sqlstate_of('CREATE OR REPLACE FUNCTION shop.coupon_key(code text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS ''SELECT lower(code)''') AS replaced;
-- He manages coupons, and can let go of all of it.
UPDATE shop.coupon SET active = false;
SELECT status FROM shop.redeem_coupon(2, 'ONCE');
SELECT p.proname FROM pg_proc p
 WHERE pronamespace = 'shop'::regnamespace AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND proname NOT IN ('coupon_key', 'coupon_code_fits') AND proowner <> 'regress_coupon_owner'::regrole ORDER BY 1;
TRUNCATE shop.coupon_redemption, shop.coupon;
DROP EXTENSION coupon_guard;
RESET ROLE;
DROP SCHEMA shop, elsewhere;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_coupon_owner', current_database()); END $$;
DROP ROLE regress_coupon_owner;
