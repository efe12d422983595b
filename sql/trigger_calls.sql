-- Whoever owns a table can put our trigger functions into any trigger. Each call does what our own triggers do, or is refused (39P01):
-- by timing, level, event and table; nothing else comes of it.
CREATE EXTENSION coupon_guard;
\set VERBOSITY sqlstate
INSERT INTO coupon (code, max_redemptions) VALUES ('USED', 3), ('SPARE', 3), ('FREE', NULL);
SELECT status FROM redeem_coupon(1, 'USED');

CREATE FUNCTION pg_temp.trigger_functions() RETURNS SETOF regproc LANGUAGE sql AS $$
  SELECT p.oid::regproc FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
   WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard') AND p.prorettype = 'trigger'::regtype
$$;
-- Tables of the same names, columns and rows that are none of ours: a stranger's, views of ours, partitioned ones.
CREATE FUNCTION pg_temp.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE SCHEMA stranger;
CREATE SCHEMA seen;
CREATE SCHEMA parted;
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY '{coupon, coupon_redemption, coupon_quota}'::text[] LOOP
    EXECUTE format('CREATE TABLE stranger.%1$I (LIKE public.%1$I INCLUDING ALL)', name);
    EXECUTE format('CREATE VIEW seen.%1$I AS SELECT * FROM public.%1$I', name);
    EXECUTE format('CREATE TRIGGER nothing INSTEAD OF INSERT OR UPDATE OR DELETE ON seen.%I FOR EACH ROW EXECUTE FUNCTION pg_temp.nothing()', name);
    EXECUTE format('CREATE TABLE parted.%1$I (LIKE public.%1$I INCLUDING DEFAULTS INCLUDING GENERATED) PARTITION BY HASH (%2$I)',
      name, CASE name WHEN 'coupon_quota' THEN 'owner_id' ELSE 'id' END);
    EXECUTE format('CREATE TABLE parted.%I PARTITION OF parted.%I FOR VALUES WITH (MODULUS 1, REMAINDER 0)', name || '_1', name);
  END LOOP;
  FOREACH name IN ARRAY '{stranger, parted}'::text[] LOOP
    EXECUTE format('INSERT INTO %I.coupon (id, code, max_redemptions) SELECT id, code, max_redemptions FROM coupon', name);
    EXECUTE format('INSERT INTO %I.coupon_redemption SELECT * FROM coupon_redemption', name);
    EXECUTE format('INSERT INTO %I.coupon_quota SELECT * FROM coupon_quota', name);
  END LOOP;
END $$;

-- What fires a trigger for this event; an UPDATE and a DELETE also without a row.
\set ECHO none
CREATE FUNCTION pg_temp.commands(home text, name text, event text) RETURNS text[] LANGUAGE sql AS $$
  SELECT array_agg(format(command, home, name)) FROM (VALUES
    ('coupon', 'INSERT', 'INSERT INTO %I.%I (id, code, active, max_redemptions, created_at) VALUES (99, ''NEW'', true, 5, now())'),
    ('coupon', 'UPDATE', 'UPDATE %I.%I SET max_redemptions = max_redemptions + 1, active = false'),
    ('coupon', 'UPDATE', 'UPDATE %I.%I SET id = id + 100 WHERE code = ''SPARE'''),
    ('coupon', 'UPDATE', 'UPDATE %I.%I SET max_redemptions = nullif(5, max_redemptions) WHERE false'),
    ('coupon', 'DELETE', 'DELETE FROM %I.%I WHERE code = ''SPARE'''),
    ('coupon', 'DELETE', 'DELETE FROM %I.%I WHERE false'),
    ('coupon', 'TRUNCATE', 'TRUNCATE %1$I.%2$I, public.coupon_redemption'),
    ('coupon_redemption', 'INSERT', 'INSERT INTO %I.%I (id, coupon_id, user_id, use_no, redeemed_at) VALUES (99, 1, ''ann'', 1, now())'),
    ('coupon_redemption', 'UPDATE', 'UPDATE %I.%I SET voided_at = now()'),
    ('coupon_redemption', 'UPDATE', 'UPDATE %I.%I SET coupon_id = 2, hold_expires_at = ''2101-01-01'''),
    ('coupon_redemption', 'UPDATE', 'UPDATE %I.%I SET voided_at = NULL WHERE false'),
    ('coupon_redemption', 'DELETE', 'DELETE FROM %I.%I'),
    ('coupon_redemption', 'DELETE', 'DELETE FROM %I.%I WHERE false'),
    ('coupon_redemption', 'TRUNCATE', 'TRUNCATE %I.%I'),
    ('coupon_quota', 'INSERT', 'INSERT INTO %1$I.%2$I SELECT (jsonb_populate_record(q, ''{"stripe": 777}'')).* FROM %1$I.%2$I q WHERE stripe = 0'),
    ('coupon_quota', 'UPDATE', 'UPDATE %I.%I SET remaining = remaining + 1'),
    ('coupon_quota', 'UPDATE', 'UPDATE %I.%I SET remaining = 1 WHERE false'),
    ('coupon_quota', 'DELETE', 'DELETE FROM %I.%I'),
    ('coupon_quota', 'DELETE', 'DELETE FROM %I.%I WHERE false'),
    ('coupon_quota', 'TRUNCATE', 'TRUNCATE %I.%I')) AS c (of_table, of_event, command)
  WHERE of_table = name AND of_event = event
$$;
-- How a trigger is made: plainly, under a condition, for a column, with arguments, with transition tables, at commit.
CREATE TEMP TABLE make (timing text, event_suffix text, options text, arguments text, is_constraint bool);
\set ECHO all
INSERT INTO make VALUES
  ('BEFORE', '', '', '', false), ('AFTER', '', '', '', false), ('INSTEAD OF', '', '', '', false),
  ('BEFORE', '', 'WHEN (true)', '', false), ('AFTER', '', 'WHEN (true)', '', false),
  ('BEFORE', ' OF %s', '', '', false), ('AFTER', ' OF %s', '', '', false),
  ('BEFORE', '', '', '''one'', 2', false), ('AFTER', '', '', '''one'', 2', false),
  ('AFTER', '', '', '', true);
CREATE TEMP TABLE called (home text, is_namesake bool, outcome text);

-- Two that used to end the server, then all there are, each undone.
BEGIN;
DO $$
BEGIN
  EXECUTE format('CREATE TRIGGER boom BEFORE UPDATE ON coupon_redemption FOR EACH STATEMENT EXECUTE FUNCTION %s()',
    (SELECT tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'coupon_redemption'::regclass ORDER BY oid LIMIT 1));
END $$;
UPDATE coupon_redemption SET metadata = NULL WHERE false;
ROLLBACK;
BEGIN;
DO $$
BEGIN
  EXECUTE format('CREATE TRIGGER boom BEFORE DELETE ON coupon FOR EACH ROW EXECUTE FUNCTION %s()',
    (SELECT tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'coupon'::regclass AND tgtype & 8 = 0 AND NOT tgisinternal ORDER BY oid LIMIT 1));
END $$;
DELETE FROM coupon WHERE code = 'SPARE';
ROLLBACK;
\set ECHO none
DO $$
DECLARE
  call record;
  command text;
  outcome text;
BEGIN
  FOR call IN
    SELECT f.name AS function, home, t.name AS in_table, m.*, level, event,
           EXISTS (SELECT FROM pg_trigger g WHERE g.tgfoid = f.name AND g.tgrelid = t.name::regclass) AS is_namesake
      FROM pg_temp.trigger_functions() AS f (name), unnest('{public, stranger, seen, parted}'::text[]) AS home,
           unnest('{coupon, coupon_redemption, coupon_quota}'::text[]) AS t (name), unnest('{ROW, STATEMENT}'::text[]) AS level,
           unnest('{INSERT, UPDATE, DELETE, TRUNCATE}'::text[]) AS event,
           (SELECT * FROM make UNION ALL
            SELECT 'AFTER', '', 'REFERENCING NEW TABLE AS new_rows', '', false UNION ALL
            SELECT 'AFTER', '', 'REFERENCING OLD TABLE AS old_rows', '', false) AS m
     WHERE (event = 'UPDATE' OR m.event_suffix = '') AND (home = 'public' OR options || arguments = '')
     ORDER BY 1, 2, 3
  LOOP
    FOREACH command IN ARRAY pg_temp.commands(call.home, call.in_table, call.event) LOOP
      CONTINUE WHEN command LIKE '%WHERE false' AND call.level = 'ROW';
      BEGIN
        BEGIN
          EXECUTE format('CREATE %s TRIGGER boom %s %s ON %I.%I %s FOR EACH %s %s EXECUTE FUNCTION %s(%s)',
            CASE WHEN call.is_constraint THEN 'CONSTRAINT' END, call.timing,
            call.event || format(call.event_suffix, CASE call.in_table WHEN 'coupon' THEN 'id, max_redemptions'
              WHEN 'coupon_redemption' THEN 'voided_at, coupon_id' ELSE 'remaining' END),
            call.home, call.in_table, CASE WHEN call.options LIKE 'REF%' THEN call.options WHEN call.is_constraint THEN 'DEFERRABLE INITIALLY DEFERRED' END,
            call.level, CASE WHEN call.options LIKE 'WHEN%' THEN call.options END, call.function, call.arguments);
        EXCEPTION WHEN OTHERS THEN
          RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = 'no such trigger';
        END;
        EXECUTE command;
        SET CONSTRAINTS ALL IMMEDIATE;
        outcome := CASE WHEN EXISTS (SELECT FROM coupon_guard_verify()) THEN 'broken' ELSE 'right' END;
        RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = outcome;
      EXCEPTION
        WHEN SQLSTATE 'UNDO0' THEN outcome := sqlerrm;
        WHEN OTHERS THEN outcome := sqlstate;
      END;
      INSERT INTO called VALUES (call.home, call.is_namesake, outcome);
    END LOOP;
  END LOOP;
END $$;
\set ECHO all
SELECT home, is_namesake, string_agg(DISTINCT outcome, ', ' ORDER BY outcome) AS outcomes FROM called WHERE outcome <> 'no such trigger' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) > 1000 AS many FROM called WHERE outcome <> 'no such trigger';

-- Called outside of a trigger, or under another name in another schema
\set ECHO none
CREATE FUNCTION pg_temp.called_plainly() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  function regproc;
  outcomes text[];
BEGIN
  FOR function IN SELECT pg_temp.trigger_functions() LOOP
    BEGIN
      EXECUTE format('SELECT %s()', function);
      outcomes := outcomes || 'done'::text;
    EXCEPTION WHEN OTHERS THEN
      outcomes := outcomes || sqlstate;
    END;
  END LOOP;
  RETURN (SELECT string_agg(DISTINCT o, ', ') FROM unnest(outcomes) o);
END $$;
\set ECHO all
SELECT pg_temp.called_plainly();
DO $$
BEGIN
  EXECUTE format('CREATE FUNCTION stranger.follow() RETURNS trigger AS ''$libdir/coupon_guard'', %L LANGUAGE C',
    (SELECT prosrc FROM pg_proc JOIN pg_trigger ON tgfoid = pg_proc.oid WHERE tgrelid = 'coupon_redemption'::regclass LIMIT 1));
END $$;
CREATE TRIGGER follow AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION stranger.follow();
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'bob', 1);
DROP TRIGGER follow ON coupon_redemption;

SELECT status FROM redeem_coupon(2, 'USED');
SELECT * FROM coupon_guard_verify();
SET client_min_messages = warning;
DROP SCHEMA stranger, seen, parted CASCADE;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
