-- A column is one of ours by its type, and by what it may hold. Otherwise it is refused before a value of it is misread or miswritten;
-- what a shop adds to the tables, the quota too, holds for what the guard writes.
\a \t
CREATE EXTENSION coupon_guard;
\getenv source PG_ABS_SRCDIR
\set tour :source '/sql/lib/tour.sql'
\set ECHO none
\i :tour
\set ECHO all
\set VERBOSITY sqlstate

-- Our columns. All that hangs on them - view, check, triggers, constraints - goes, so that they can be altered.
CREATE TEMP VIEW ours AS
SELECT attrelid::regclass AS of_table, attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS is_not_null, attidentity <> '' AS is_identity
  FROM pg_attribute WHERE attrelid = ANY ('{campaign, coupon, coupon_redemption, coupon_quota, coupon_shard, coupon_transfer}'::regclass[]) AND attnum > 0 AND NOT attisdropped
   AND NOT (attrelid IN ('coupon'::regclass, 'campaign'::regclass) AND attname = 'created_at'); -- which is the shop's alone
\set ECHO none
CREATE PROCEDURE pg_temp.unbind() LANGUAGE plpgsql AS $$
DECLARE
  command text;
BEGIN
  CREATE OR REPLACE FUNCTION coupon_guard_verify() RETURNS TABLE (invariant text, coupon_id bigint, user_id text, detail text)
    LANGUAGE sql AS 'SELECT NULL, NULL::bigint, NULL, NULL WHERE false';
  FOR command IN
    SELECT format('CREATE OR REPLACE VIEW %s AS SELECT ', attrelid::regclass) || string_agg(format('NULL::%s AS %I', format_type(atttypid, atttypmod), attname), ', ' ORDER BY attnum)
      FROM pg_attribute WHERE attrelid IN ('coupon_usage'::regclass, 'campaign_usage'::regclass, 'coupon_guard_rights'::regclass) GROUP BY attrelid
    UNION ALL
    SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass) FROM pg_trigger
     WHERE tgrelid IN (SELECT of_table FROM ours) AND NOT tgisinternal
    UNION ALL
    SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint
     WHERE conrelid IN (SELECT of_table FROM ours) AND contype = 'c'
  LOOP
    EXECUTE command;
  END LOOP;
END $$;
-- A column made anew, at the end of its table, with the indexes it was in
CREATE PROCEDURE pg_temp.remake(of_table regclass, name text, definition text) LANGUAGE plpgsql AS $$
DECLARE
  command text;
  commands text[] := (SELECT array_agg(replace(pg_get_indexdef(indexrelid), ' INDEX ', ' INDEX IF NOT EXISTS ')) FROM pg_index WHERE indrelid = of_table);
BEGIN
  SET LOCAL client_min_messages = warning;
  EXECUTE format('ALTER TABLE %s DROP COLUMN %I CASCADE', of_table, name);
  EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s', of_table, name, definition);
  FOREACH command IN ARRAY commands LOOP
    EXECUTE command;
  END LOOP;
END $$;

CREATE FUNCTION pg_temp.redeemed_after(change text) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.after('CALL pg_temp.unbind(); ' || change, 'SELECT status FROM redeem_coupon(1, ''TOUR'', metadata => ''{}'')')
$$;
\set ECHO all
SELECT pg_temp.redeemed_after('SELECT');

-- Another type: a domain, a precision, a collation count too.
CREATE DOMAIN d_text AS text;
CREATE DOMAIN d_bigint AS bigint;
CREATE DOMAIN d_integer AS int;
CREATE DOMAIN d_jsonb AS jsonb;
CREATE DOMAIN d_boolean AS bool;
CREATE DOMAIN d_timestamptz AS timestamptz;
CREATE DOMAIN d_char AS "char";
CREATE DOMAIN d_uuid AS uuid;
SELECT of_table, outcome, string_agg(DISTINCT name, ', ') AS columns FROM (
  SELECT of_table, name, pg_temp.redeemed_after(format('ALTER TABLE %s ALTER %I DROP DEFAULT, ALTER %2$I TYPE %s', of_table, name, new_type)) AS outcome
    FROM ours, unnest(CASE type
      WHEN 'text' THEN '{d_text, varchar, varchar(9), bytea USING NULL::bytea}'
      WHEN 'bigint' THEN '{d_bigint, numeric, int, text}'
      WHEN 'integer' THEN '{d_integer, numeric, bigint, text}'
      WHEN 'boolean' THEN '{d_boolean, text, int USING 1}'
      WHEN 'jsonb' THEN '{d_jsonb, json, text}'
      WHEN '"char"' THEN format('{d_char, char, varchar(1), text, int USING ascii(%s)}', name)
      WHEN 'uuid' THEN '{d_uuid, text}'
      ELSE '{d_timestamptz, timestamp, timestamptz(0), date, text}' END::text[] ||
      CASE WHEN name IN ('user_id', 'request_id', 'peer') THEN ARRAY['text COLLATE "POSIX"'] END) AS new_type
   WHERE NOT is_identity AND (name NOT IN ('code', 'code_key', 'name', 'name_key') OR of_table = 'coupon_shard'::regclass)) AS made
 GROUP BY 1, 2 ORDER BY 1, 2;

-- Generated: what the guard would write is not what would be there. Gone
SELECT of_table, generated, gone, string_agg(name, ', ' ORDER BY name) AS columns FROM (
  SELECT *, CASE WHEN of_table NOT IN ('coupon', 'campaign', 'coupon_shard') THEN pg_temp.redeemed_after(format('CALL pg_temp.remake(%L, %L, %L)', of_table, name,
              type || CASE WHEN type = 'text' THEN ' COLLATE "C"' ELSE '' END || ' GENERATED ALWAYS AS (NULL) STORED')) END AS generated,
         pg_temp.redeemed_after(format('ALTER TABLE %s DROP COLUMN %I CASCADE', of_table, name)) AS gone
    FROM ours WHERE NOT is_identity AND (name NOT IN ('code', 'name') OR of_table = 'coupon_shard'::regclass)) AS made
 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
-- What it only reads may be generated; if it cannot be read (a virtual column), it is refused.
SELECT bool_and(pg_temp.after(format('CALL pg_temp.remake(''coupon'', ''starts_at'', ''timestamptz GENERATED ALWAYS AS (NULL) %s'')', kind),
    'SELECT string_agg(status::text, '', '') FROM generate_series(1, 3) i, LATERAL redeem_coupon(1 + 0 * i, ''TOUR-ANY'')')
    IN ('redeemed, redeemed, already_redeemed', '55000')) AS right_or_refused
  FROM unnest(CASE WHEN current_setting('server_version_num')::int < 180000 THEN '{STORED}' ELSE '{STORED, VIRTUAL}' END::text[]) AS kind;

-- code_key is coupon_key(code), and nothing else will do.
CREATE SCHEMA elsewhere;
CREATE FUNCTION elsewhere.coupon_key(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT AS 'SELECT lower($1)';
SELECT definition, pg_temp.redeemed_after(format('CALL pg_temp.remake(%L, %L, %L)', 'coupon', 'code_key', 'text COLLATE "C" NOT NULL ' || definition)) AS outcome
  FROM (VALUES
    ('GENERATED ALWAYS AS (coupon_key(code)) STORED'),
    ('GENERATED ALWAYS AS (lower(code)) STORED'),
    ('GENERATED ALWAYS AS (coupon_key(upper(code))) STORED'),
    ('GENERATED ALWAYS AS (coupon_key(code) || '''') STORED'),
    ('GENERATED ALWAYS AS (elsewhere.coupon_key(code)) STORED'),
    ('GENERATED ALWAYS AS (coupon_key(reverse(code))) STORED'),
    ('DEFAULT gen_random_uuid()')) AS d (definition);
SELECT pg_temp.redeemed_after('ALTER TABLE coupon ALTER code_key DROP EXPRESSION');
SELECT pg_temp.redeemed_after($$CALL pg_temp.remake('coupon', 'code_key', 'text COLLATE "POSIX" NOT NULL GENERATED ALWAYS AS (coupon_key(code)) STORED')$$);

-- NOT NULL taken away is served or refused; the columns whose outcome is another:
SELECT of_table, name, outcome FROM ours, LATERAL pg_temp.redeemed_after(format('ALTER TABLE %s ALTER %I DROP NOT NULL', of_table, name)) AS outcome
 WHERE is_not_null AND NOT is_identity AND outcome NOT IN ('redeemed', '55000') AND (of_table, name) NOT IN (VALUES ('coupon_quota'::regclass, 'owner_id'), ('coupon_quota', 'kind'), ('coupon_quota', 'stripe'),
   ('coupon_shard', 'number'), ('coupon_transfer', 'transfer_id'));
-- NULL where none was meant to be is an error (23502, 55000), or the row is nobody's: nobody has more uses for it. What is neither:
SELECT of_table, name, what, outcome FROM ours, (VALUES
    ('once more', $$SELECT status FROM redeem_coupon(1, 'TOUR-ANY')$$), ('retry', $$SELECT status FROM redeem_coupon(1, 'TOUR-ANY', 't-1')$$),
    ('another', $$SELECT status FROM redeem_coupon(2, 'TOUR')$$), ('confirm', $$SELECT status FROM coupon_redemption, confirm_hold(id)$$),
    ('void', $$SELECT void_redemption(id) FROM coupon_redemption$$)) AS q (what, question),
  LATERAL pg_temp.after(format('SELECT redeem_coupon(1, %L, %L); CALL pg_temp.unbind(); ALTER TABLE %3$s ALTER %4$I DROP NOT NULL; UPDATE %3$s SET %4$I = NULL',
    'TOUR-ANY', 't-1', of_table, name), question) AS outcome
 WHERE is_not_null AND NOT is_identity AND (of_table, name) NOT IN (VALUES ('coupon_quota'::regclass, 'owner_id'), ('coupon_quota', 'kind'), ('coupon_quota', 'stripe'), ('coupon', 'code'), ('coupon', 'code_key'),
   ('coupon_shard', 'number'), ('coupon_transfer', 'transfer_id'))
   AND outcome NOT IN ('23502', '55000') AND (outcome ~ '^[0-9A-Z]{5}$' OR what = 'once more' AND outcome = 'redeemed' AND name NOT IN ('coupon_id', 'user_id'))
 ORDER BY 1, 2, 3;
-- NOT NULL on a column that the guard leaves empty
SELECT name, pg_temp.after(format('ALTER TABLE coupon_redemption ALTER %I SET NOT NULL', name), $$SELECT status FROM redeem_coupon(1, 'TOUR')$$) AS outcome
  FROM ours WHERE of_table = 'coupon_redemption'::regclass AND NOT is_not_null ORDER BY name;
SELECT pg_temp.after($$UPDATE coupon SET terms = '{"off": 5}' WHERE code = 'TOUR-ONE'; UPDATE coupon SET terms = coalesce(terms, '{"off": 10}'), starts_at = '2001-01-01', expires_at = '2999-01-01';
  ALTER TABLE coupon ALTER terms SET NOT NULL, ALTER starts_at SET NOT NULL, ALTER expires_at SET NOT NULL$$);

-- Defaults are for who says nothing: the guard says what it writes.
SELECT default_value, string_agg(name, ', ' ORDER BY name) AS columns, outcome FROM (
  SELECT default_value, name, pg_temp.after(format('ALTER TABLE %s ALTER %I SET DEFAULT %s', of_table, name, default_value),
           $$SELECT status FROM redeem_coupon('ann'::text, 'TOUR')$$, $$SELECT status FROM hold_coupon('bob'::text, 'TOUR')$$, $$SELECT remaining_units FROM check_coupon(1, 'TOUR')$$,
           $$SELECT string_agg(concat_ws(' ', user_id, use_no, redeemed_at > now(), hold_expires_at > now(), voided_at, request_id, metadata), ', ' ORDER BY id)
               FROM coupon_redemption$$) AS outcome
    FROM ours JOIN (VALUES ('text', '''x'''), ('jsonb', '''{"a": 1}'''), ('timestamp with time zone', '''2001-01-01'''), ('integer', '7'), ('bigint', '7'),
      ('timestamp with time zone', 'NULL')) AS d (type, default_value) USING (type)
   WHERE of_table NOT IN ('coupon', 'campaign') AND NOT is_identity AND name <> 'void_reason') AS made
 GROUP BY 1, 3 ORDER BY 1, 3;

-- Ids come from the identity's sequence, as it is now.
ALTER EXTENSION coupon_guard DROP SEQUENCE coupon_redemption_id_seq;
ALTER EXTENSION coupon_guard DROP SEQUENCE coupon_id_seq;
SELECT change, pg_temp.after('ALTER TABLE coupon_redemption ' || change, 'SELECT pg_temp.tour()', 'SELECT min(id) FROM coupon_redemption', 'SELECT max(id) FROM coupon_redemption') AS outcome
  FROM unnest('{ALTER id RESTART,
    ALTER id SET GENERATED ALWAYS RESTART WITH 100,
    ALTER id SET INCREMENT -10 SET MINVALUE -1000000 RESTART WITH -1,
    ALTER id SET CACHE 100 RESTART WITH 1000,
    ALTER id SET MAXVALUE 5 RESTART,
    ALTER id SET MAXVALUE 5 SET CYCLE RESTART,
    ALTER id RESTART WITH 9223372036854775800,
    ALTER id DROP IDENTITY,
    "ALTER id DROP IDENTITY, ALTER id SET DEFAULT 7",
    "ALTER id DROP IDENTITY, ALTER id ADD GENERATED ALWAYS AS IDENTITY (START 50)"}'::text[]) AS change;
SELECT pg_temp.after('ALTER TABLE coupon ALTER id DROP IDENTITY');

-- What the tables' own CHECKs keep out; where they are gone, a cap or limit below 1 is an error, never a number to reckon with.
\set ECHO none
CREATE FUNCTION pg_temp.refusal(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  name text;
BEGIN
  EXECUTE command;
  RAISE EXCEPTION SQLSTATE 'UNDO0';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS name = CONSTRAINT_NAME;
  RETURN concat_ws(' ', sqlstate, name);
END $$;
\set ECHO all
SELECT command, pg_temp.refusal(command) AS outcome FROM unnest(ARRAY[
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (2, 'ann', 0)$$,
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no, voided_at) VALUES (2, 'ann', -1, now())$$,
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at) VALUES (2, 'ann', 1, 'infinity')$$,
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at) VALUES (2, 'ann', 1, '-infinity')$$,
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at, voided_at) VALUES (2, 'ann', 1, '2001-01-01', 'infinity')$$]) AS command;
CREATE PROCEDURE pg_temp.drop_checks() LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT string_agg(format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname), '; ') FROM pg_constraint
            WHERE conrelid IN (SELECT of_table FROM ours) AND contype = 'c');
END $$;
SELECT change, string_agg(DISTINCT pg_temp.after('CALL pg_temp.drop_checks()', format('UPDATE coupon SET %s WHERE code = ''TOUR'' RETURNING ''changed''', change), question), '; ') AS outcome
  FROM unnest('{max_redemptions = 0, max_redemptions = -1, max_redemptions = -9223372036854775808, max_per_user = 0, max_per_user = -5}'::text[]) AS change,
       unnest(ARRAY[$$SELECT status FROM redeem_coupon(1, 'TOUR')$$, $$SELECT status FROM hold_coupon(1, 'TOUR')$$, $$SELECT status FROM check_coupon(1, 'TOUR')$$,
         $$SELECT string_agg(status::text, ' ') FROM redeem_coupons(1, '{TOUR-ANY,TOUR}')$$]) AS question
 GROUP BY change ORDER BY change;
SELECT command, pg_temp.after('CALL pg_temp.drop_checks()', command, $$SELECT status FROM redeem_coupon(1, 'LESS')$$) AS outcome FROM unnest(ARRAY[
  $$INSERT INTO coupon (code, max_redemptions) VALUES ('LESS', 0) RETURNING 'done'$$, $$INSERT INTO coupon (code, max_redemptions) VALUES ('LESS', -1) RETURNING 'done'$$,
  $$INSERT INTO coupon (code, max_per_user) VALUES ('LESS', 0) RETURNING 'done'$$,
  $$INSERT INTO coupon (code, max_redemptions, max_per_user) VALUES ('LESS', 5, -5) RETURNING 'done'$$]) AS command;
SELECT pg_temp.after($$SELECT redeem_coupon(1, 'TOUR-ANY'); CALL pg_temp.drop_checks()$$,
  'UPDATE coupon_redemption SET use_no = 0 RETURNING ''changed''', 'SELECT string_agg(invariant, '', '') FROM coupon_guard_verify()');

-- What a shop adds to the quota is kept; what it forbids is an error; and what it says of each row is said of every row that there is.
CREATE DOMAIN channel AS text DEFAULT 'web' NOT NULL;
CREATE TABLE mirror (op text, coupon_id bigint, stripe int, remaining bigint);
\set ECHO none
CREATE FUNCTION mirror() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN INSERT INTO mirror VALUES ('-', OLD.owner_id, OLD.stripe, OLD.remaining); END IF;
  IF TG_OP <> 'DELETE' THEN INSERT INTO mirror VALUES ('+', NEW.owner_id, NEW.stripe, NEW.remaining); END IF;
  RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_ARGV[0] = 'suppress' THEN RETURN NULL; END IF;
  NEW.remaining := 1000;
  RETURN NEW;
END $$;
\set ECHO all
SELECT change, pg_temp.after('DELETE FROM coupon_quota; ALTER TABLE coupon_quota ' || change, 'SELECT pg_temp.tour()', question) AS outcome
  FROM (VALUES
    ('ADD note text NOT NULL DEFAULT ''kept''', 'SELECT string_agg(DISTINCT note, '' '') FROM coupon_quota'),
    ('ADD note text', 'SELECT count(note) FROM coupon_quota'),
    ('ADD made timestamptz NOT NULL DEFAULT clock_timestamp()', 'SELECT bool_and(made > now()) FROM coupon_quota'),
    ('ADD no bigint GENERATED ALWAYS AS IDENTITY', 'SELECT count(*) = count(DISTINCT no) FROM coupon_quota'),
    ('ADD twice bigint GENERATED ALWAYS AS (2 * remaining) STORED', 'SELECT bool_and(twice = 2 * remaining) FROM coupon_quota'),
    ('ADD channel channel', 'SELECT string_agg(DISTINCT channel, '' '') FROM coupon_quota'),
    ('ADD gone int DEFAULT 1, ADD note text DEFAULT ''kept''; ALTER TABLE coupon_quota DROP gone', 'SELECT string_agg(DISTINCT note, '' '') FROM coupon_quota'),
    ('ADD note text NOT NULL', 'SELECT'),
    ('ADD CHECK (remaining < 1000)', 'SELECT count(*) > 0 FROM coupon_quota'),
    ('ADD CONSTRAINT none CHECK (owner_id < 0) NOT VALID', 'SELECT'),
    ('ADD FOREIGN KEY (owner_id) REFERENCES coupon ON DELETE CASCADE', 'SELECT count(*) > 0 FROM coupon_quota'),
    ('ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', 'SELECT count(*) > 0 FROM coupon_quota'),
    ('SET UNLOGGED', 'SELECT count(*) > 0 FROM coupon_quota'),
    ('REPLICA IDENTITY FULL, SET (fillfactor = 100)', 'SELECT count(*) > 0 FROM coupon_quota')) AS c (change, question);
-- An index on it leads to the rows that are there; a trigger on it hears of every change, as pg_repack needs it.
SELECT change, pg_temp.after('CREATE INDEX ' || change, 'SELECT pg_temp.tour()',
    $$SELECT set_config('shop.rows', string_agg(format('%s %s %s', owner_id, stripe, remaining), ', ' ORDER BY kind, owner_id, stripe), true) <> '' FROM coupon_quota$$,
    $$SELECT set_config('enable_seqscan', 'off', true)$$,
    $$SELECT string_agg(format('%s %s %s', owner_id, stripe, remaining), ', ' ORDER BY kind, owner_id, stripe) = current_setting('shop.rows') FROM coupon_quota
      WHERE owner_id + 0 > 0 AND remaining >= 0$$) AS outcome
  FROM unnest('{ON coupon_quota (remaining), "ON coupon_quota (remaining) INCLUDE (owner_id, stripe)", ON coupon_quota (remaining) WHERE remaining >= 0,
    ON coupon_quota ((owner_id + 0)), ON coupon_quota USING hash (remaining), ON coupon_quota USING brin (remaining)}'::text[]) AS change;
SELECT timing, pg_temp.after(format('TRUNCATE coupon_quota; CREATE TRIGGER mirror %s INSERT OR UPDATE OR DELETE ON coupon_quota FOR EACH ROW EXECUTE FUNCTION mirror()', timing),
    'SELECT pg_temp.tour()', $$SELECT count(*) > 0 FROM mirror$$, $$SELECT count(*) FILTER (WHERE sum <> 0) FROM (SELECT sum(CASE op WHEN '+' THEN remaining ELSE -remaining END)
        FROM (SELECT * FROM mirror UNION ALL SELECT '-', owner_id, stripe, remaining FROM coupon_quota) AS both_sides GROUP BY coupon_id, stripe) AS s$$) AS outcome
  FROM unnest('{BEFORE, AFTER}'::text[]) AS timing;
SELECT pg_temp.after('TRUNCATE coupon_quota; CREATE TABLE stripe_notes (coupon_id bigint, kind "char", stripe int, FOREIGN KEY (coupon_id, kind, stripe) REFERENCES coupon_quota)');
SELECT pg_temp.after('CREATE RULE nothing AS ON UPDATE TO coupon_quota DO INSTEAD NOTHING');
-- A trigger that changes or suppresses what the guard writes to the quota is heard, or is an error; no unit comes of it.
SELECT events, pg_temp.after(format('CREATE TRIGGER meddle BEFORE %s ON coupon_quota FOR EACH ROW EXECUTE FUNCTION meddle(%L)', events, meddling),
    $$SELECT count(*) <= 4 FROM (SELECT r.status FROM generate_series(1, 6) i, LATERAL redeem_coupon(i, 'TOUR') r) AS r WHERE status = 'redeemed'$$)
    IN ('true', '09000', '27000', '55000') AS never_too_many
  FROM unnest('{INSERT, UPDATE, DELETE, INSERT OR UPDATE OR DELETE}'::text[]) AS events, unnest('{suppress, more}'::text[]) AS meddling
 WHERE NOT (events LIKE '%DELETE%' AND meddling = 'more');

-- Large notes are kept as they are, also when the executor has to write them.
SELECT pg_temp.after(change, $$SELECT status FROM redeem_coupon(1, 'TOUR', metadata => to_jsonb(repeat('x', 1000000)))$$,
    $$SELECT status FROM redeem_coupon(2, 'TOUR', metadata => (SELECT jsonb_agg(md5(i::text)) FROM generate_series(1, 10000) i))$$,
    'SELECT string_agg(length(metadata::text)::text, '' '' ORDER BY id) FROM coupon_redemption')
  FROM unnest('{SELECT, ALTER TABLE coupon_redemption ADD note text DEFAULT 1}'::text[]) AS change;

SELECT pg_temp.tour();
SELECT * FROM coupon_guard_verify();
DROP VIEW ours;
TRUNCATE coupon_redemption, coupon, campaign;
DROP EXTENSION coupon_guard;
DROP FUNCTION elsewhere.coupon_key;
DROP SCHEMA elsewhere;
DROP TABLE mirror;
DROP FUNCTION mirror, meddle;
DROP DOMAIN d_char, d_uuid, d_text, d_bigint, d_integer, d_jsonb, d_boolean, d_timestamptz, channel;
