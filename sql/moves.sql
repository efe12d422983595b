-- Whatever is renamed or moved: the guard goes on as if nothing had happened, or says what it misses; moved back, it is as it was.
\a \t
CREATE SCHEMA promo;
CREATE SCHEMA elsewhere;
CREATE EXTENSION coupon_guard SCHEMA promo;
SET search_path = promo, public;
\getenv source PG_ABS_SRCDIR
\set tour :source '/sql/lib/tour.sql'
\set ECHO none
\i :tour
\set ECHO all
\set VERBOSITY sqlstate

-- The schema: everything follows, in sessions that knew it under its old name too.
SELECT status FROM redeem_coupon(1, 'TOUR');
ALTER SCHEMA promo RENAME TO marketing;
SET search_path = '';
SELECT status FROM marketing.redeem_coupon(1, 'TOUR');
SELECT status, remaining_units FROM marketing.check_coupon(1, 'TOUR');
INSERT INTO marketing.coupon (code, max_redemptions) VALUES ('NEW', 2);
UPDATE marketing.coupon SET max_redemptions = 3 WHERE code = 'NEW';
INSERT INTO marketing.coupon_redemption (coupon_id, user_id, use_no) SELECT id, 'hand', 1 FROM marketing.coupon WHERE code = 'NEW';
DELETE FROM marketing.coupon WHERE code = 'NEW';
SELECT code, redeemed, remaining_units FROM marketing.coupon_usage ORDER BY code;
SELECT * FROM marketing.coupon_guard_verify();
\c -
\set VERBOSITY sqlstate
SELECT status FROM marketing.redeem_coupon(2, 'NEW');
SELECT * FROM marketing.coupon_guard_verify();
SET search_path = marketing, public;
\set ECHO none
DELETE FROM coupon_redemption;
DELETE FROM coupon;
DELETE FROM campaign;
\i :tour
\set ECHO all
SELECT pg_temp.after('SELECT');
ALTER EXTENSION coupon_guard SET SCHEMA elsewhere;

-- One object at a time: served, or the error that says what is missed; and served once it is back.
\set ECHO none
CREATE FUNCTION pg_temp.done(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN 'back';
END $$;
CREATE FUNCTION pg_temp.moved_by(move text, back text) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(regexp_replace(pg_temp.after(move, $tour$SELECT pg_temp.after('SELECT')$tour$, format('SELECT pg_temp.done(%L)', back), $tour$SELECT pg_temp.after('SELECT')$tour$),
    ', back, right$', ''), '^SELECT .*: ([0-9A-Z]{5})$', '\1')
$$;
-- From one to the other, and back
CREATE FUNCTION pg_temp.moved(command text, one text, other text) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.moved_by(format(command, one, other), format(command, other, one))
$$;
-- Each in the place of the other, and back
CREATE FUNCTION pg_temp.swapped(command text, one text, other text) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.moved_by(swap, swap) FROM concat_ws('; ', format(command, one, 'aside'), format(command, other, one), format(command, 'aside', other)) AS swap
$$;
CREATE TEMP VIEW member AS
SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard');
\set ECHO all
SELECT kind, string_agg(DISTINCT pg_temp.moved('ALTER ' || kind || ' %I RENAME TO %I', relname, 'other'), ', ') AS renamed,
       string_agg(DISTINCT pg_temp.moved('ALTER ' || kind || ' %I.' || relname || ' SET SCHEMA %I', 'marketing', 'elsewhere'), ', ') AS moved
  FROM member JOIN pg_class ON oid = objid AND classid = 'pg_class'::regclass, LATERAL (SELECT CASE relkind WHEN 'r' THEN 'TABLE' WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' END) k (kind)
 WHERE relname ~ '^coupon(|_redemption|_quota|_shard|_transfer|_usage)($|_id_seq$)' GROUP BY kind ORDER BY kind;
CREATE TEMP TABLE ours AS SELECT unnest('{campaign, coupon, coupon_redemption, coupon_quota, coupon_shard, coupon_transfer}'::regclass[]) AS name;
SELECT string_agg(DISTINCT pg_temp.moved('ALTER INDEX %I RENAME TO %I', relname, 'other'), ', ') AS indexes
  FROM pg_index JOIN pg_class ON oid = indexrelid JOIN ours ON ours.name = indrelid;
SELECT string_agg(DISTINCT pg_temp.moved(format('ALTER TABLE %s RENAME CONSTRAINT %%I TO %%I', ours.name), conname, 'other'), ', ') AS constraints
  FROM pg_constraint JOIN ours ON ours.name = conrelid;
SELECT string_agg(DISTINCT pg_temp.moved(format('ALTER TRIGGER %%I ON %s RENAME TO %%I', ours.name), tgname, 'other'), ', ') AS triggers
  FROM pg_trigger JOIN ours ON ours.name = tgrelid WHERE NOT tgisinternal;
SELECT name AS of_table, outcome, string_agg(attname, ', ' ORDER BY attname) AS columns
  FROM pg_attribute JOIN ours ON ours.name = attrelid, LATERAL pg_temp.moved(format('ALTER TABLE %s RENAME %%I TO %%I', ours.name), attname, 'other') AS outcome
 WHERE attnum > 0 AND NOT attisdropped AND attname <> 'created_at' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT bool_and(pg_temp.moved('ALTER TYPE %I RENAME TO %I', typname, 'other') IN ('right', '42704', '55000')) AS types_renamed,
       bool_and(pg_temp.moved('ALTER TYPE %I.' || typname || ' SET SCHEMA %I', 'marketing', 'elsewhere') IN ('right', '42704', '55000')) AS types_moved
  FROM member JOIN pg_type ON oid = objid AND classid = 'pg_type'::regclass WHERE typname ~ '^coupon_(status|.*_answer)$';
-- What the tour itself does not call: trigger functions, coupon_key() and others
SELECT bool_and(pg_temp.moved(format('ALTER FUNCTION %%I(%s) RENAME TO %%I', arguments), proname, 'other') IN ('right', '42883', '55000')) AS functions_renamed,
       bool_and(pg_temp.moved(format('ALTER FUNCTION %%I.%I(%s) SET SCHEMA %%I', proname, arguments), 'marketing', 'elsewhere') IN ('right', '39P01', '42P01', '42883', '55000')) AS functions_moved
  FROM member JOIN pg_proc ON oid = objid AND classid = 'pg_proc'::regclass, pg_get_function_identity_arguments(oid) AS arguments WHERE proname !~ '^(redeem|hold|confirm|check|void)_';
-- Two in the place of each other
SELECT pg_temp.swapped('ALTER TABLE %I RENAME TO %I', 'coupon_redemption', 'coupon_quota') IN ('42703', '55000') AS tables,
       pg_temp.swapped('ALTER TABLE coupon_redemption RENAME %I TO %I', 'user_id', 'void_reason') IN ('42703', '55000') AS columns,
       pg_temp.swapped('ALTER TABLE coupon RENAME %I TO %I', 'starts_at', 'expires_at') AS columns_of_a_kind,
       pg_temp.swapped('ALTER TYPE %I RENAME TO %I', 'coupon_redeem_answer', 'coupon_hold_answer') IN ('right', '42704', '55000') AS types,
       pg_temp.swapped('ALTER INDEX %I RENAME TO %I', 'coupon_redemption_use_unique', 'coupon_redemption_hold') AS indexes;
-- Another type under a name of ours, which the functions do not return
SELECT pg_temp.moved_by('ALTER TYPE coupon_redeem_answer RENAME TO other; CREATE TYPE coupon_redeem_answer AS (status coupon_status, a text, b text, c text, d text, e text, f text)',
  'DROP TYPE coupon_redeem_answer; ALTER TYPE other RENAME TO coupon_redeem_answer') IN ('right', '55000') AS refused;

-- A function of ours that was copied to a schema where only some of the tables are finds them missing, however often it looks; and never those of another schema.
CREATE TABLE elsewhere.coupon (LIKE coupon INCLUDING ALL);
INSERT INTO elsewhere.coupon (code) VALUES ('THERE');
CREATE FUNCTION elsewhere.redeem(bigint, text, text, jsonb) RETURNS coupon_redeem_answer AS '$libdir/coupon_guard', 'coupon_guard_redeem_bigint' LANGUAGE C;
SELECT elsewhere.redeem(1, 'THERE', NULL, NULL);
SELECT elsewhere.redeem(1, 'THERE', NULL, NULL);
SELECT status FROM redeem_coupon(1, 'THERE');
SELECT elsewhere.redeem(1, 'THERE', NULL, NULL);
SELECT count(*) FROM coupon_redemption WHERE user_id = '1';
SELECT pg_temp.after('SELECT');
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA elsewhere CASCADE;
RESET client_min_messages;

-- A function's owner may say of it what he likes; it does what it did. In a parallel worker each refuses (25000).
\set VERBOSITY sqlstate
SELECT attributes, string_agg(DISTINCT pg_temp.after(format('ALTER FUNCTION %s %s', objid::regprocedure, attributes)), ', ') AS outcomes
  FROM member JOIN pg_proc ON oid = objid AND classid = 'pg_proc'::regclass,
       unnest('{STABLE, IMMUTABLE, SECURITY DEFINER, PARALLEL RESTRICTED, SET search_path = nosuch}'::text[]) AS attributes
 WHERE proname ~ '^(redeem|hold|confirm|check|void)_' GROUP BY attributes ORDER BY attributes COLLATE "C";
CREATE PROCEDURE pg_temp.make_parallel(level text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT string_agg(format('ALTER FUNCTION %s PARALLEL %s', objid::regprocedure, level), '; ') FROM member JOIN pg_proc ON oid = objid AND classid = 'pg_proc'::regclass
            WHERE proname ~ '^(redeem|hold|confirm|check|void)_');
  PERFORM set_config(name, CASE level WHEN 'SAFE' THEN 'on' ELSE 'off' END, false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
END $$;
CALL pg_temp.make_parallel('SAFE');
EXPLAIN (COSTS OFF) SELECT status FROM check_coupon(1, 'TOUR');
SELECT status FROM check_coupon(1, 'TOUR');
SELECT status FROM redeem_coupon(1, 'TOUR');
SELECT status FROM redeem_coupon_strict('ann'::text, 'TOUR');
SELECT status FROM redeem_coupons(1, '{TOUR}');
SELECT status FROM hold_coupon(1, 'TOUR');
SELECT status FROM confirm_hold(1);
SELECT * FROM void_redemption(1);
SELECT coupon_key(' Tour ');
CALL pg_temp.make_parallel('UNSAFE');
SELECT count(*) FROM coupon_redemption;
SELECT pg_temp.after('SELECT');
SELECT * FROM coupon_guard_verify();

DROP VIEW member;
RESET search_path;
TRUNCATE marketing.coupon_redemption, marketing.coupon, marketing.campaign;
DROP EXTENSION coupon_guard;
DROP SCHEMA marketing;
