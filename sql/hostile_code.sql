-- What a shop has put on the tables is called in the midst of a redemption, and may do anything. Each kind of place, each kind of deed: the call is
-- answered or refused with an error of the server's or the shop's, never one of ours that says something inside is broken; and afterwards nothing is.
\a \t
CREATE EXTENSION coupon_guard;
\getenv source PG_ABS_SRCDIR
\set tour :source '/sql/lib/tour.sql'
\set ECHO none
\i :tour
SET client_min_messages = error;
SET shop.calls = 0;
SET shop.deed = '';
DO $$ BEGIN PERFORM coupon_guard_set_shard('one', 1); END $$;
UPDATE coupon SET rights = 4 WHERE code = 'TOUR';
-- In shop.deed what is to be done, by the first that is called; in shop.calls how often there was a call.
CREATE FUNCTION do_deed(what text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  deed text := current_setting('shop.deed', true);
BEGIN
  PERFORM set_config('shop.calls', (current_setting('shop.calls')::int + 1)::text, false);
  IF deed = '' THEN RETURN; END IF;
  IF deed NOT LIKE 'again and again%' THEN PERFORM set_config('shop.deed', '', true); END IF;
  IF deed LIKE 'caught: %' THEN
    BEGIN EXECUTE substr(deed, 9); EXCEPTION WHEN OTHERS THEN END;
  ELSE
    EXECUTE replace(deed, 'again and again: ', '');
  END IF;
END $$;
CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM do_deed('trigger'); IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$;
CREATE FUNCTION is_good(anyelement) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM do_deed('expression'); RETURN true; END $$;
CREATE FUNCTION is_good() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM do_deed('constant'); RETURN true; END $$;
CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
CREATE DOMAIN watched AS int CHECK (is_good(VALUE));
CREATE TABLE customer (id text PRIMARY KEY);
INSERT INTO customer SELECT i::text FROM generate_series(1, 100) i;
CREATE TEMP TABLE place (no int GENERATED ALWAYS AS IDENTITY, name text, command text);
INSERT INTO place (name, command)
SELECT lower(concat_ws(' ', timing, level, 'trigger on', t)),
       format('CREATE TRIGGER %s %s INSERT OR UPDATE OR DELETE ON %s FOR EACH %s EXECUTE FUNCTION on_row()', trigger, timing, t, level)
  FROM unnest('{BEFORE,AFTER}'::text[]) AS timing, unnest('{ROW,STATEMENT}'::text[]) AS level, unnest('{coupon_redemption,coupon_quota,coupon,coupon_transfer}'::text[]) AS t,
       unnest('{a_shop,zz_shop}'::text[]) AS trigger;
INSERT INTO place (name, command) VALUES
  ('deferred trigger', 'CREATE CONSTRAINT TRIGGER zz AFTER INSERT OR UPDATE ON coupon_redemption DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION on_row()'),
  ('transition table', 'CREATE TRIGGER zz AFTER INSERT ON coupon_redemption REFERENCING NEW TABLE AS new_rows EXECUTE FUNCTION on_row()'),
  ('trigger of a foreign key', 'ALTER TABLE coupon_redemption ADD FOREIGN KEY (user_id) REFERENCES customer; CREATE RULE zz AS ON UPDATE TO customer DO ALSO SELECT is_good(1)'),
  ('condition of a trigger', 'CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON coupon_redemption FOR EACH ROW WHEN (is_good(NEW.id)) EXECUTE FUNCTION on_row()'),
  ('check', 'ALTER TABLE coupon_redemption ADD CHECK (is_good(id))'), ('check of the quota', 'ALTER TABLE coupon_quota ADD CHECK (is_good(remaining)) NOT VALID'),
  ('check of coupons', 'ALTER TABLE coupon ADD CHECK (is_good(id)) NOT VALID'), ('check of coupon_transfer', 'ALTER TABLE coupon_transfer ADD CHECK (is_good(units))'),
  ('index of coupon_transfer', 'CREATE INDEX zz ON coupon_transfer (is_good(units))'), ('default of coupon_transfer', 'ALTER TABLE coupon_transfer ADD zz bool; ALTER TABLE coupon_transfer ALTER zz SET DEFAULT is_good(random())'),
  ('index', 'CREATE INDEX zz ON coupon_redemption (is_good(id))'), ('index of the quota', 'CREATE INDEX zz ON coupon_quota (is_good(remaining))'),
  ('index of coupons', 'CREATE INDEX zz ON coupon (is_good(id))'), ('unique index', 'CREATE UNIQUE INDEX zz ON coupon_redemption (id, is_good(id))'),
  ('predicate', 'CREATE INDEX zz ON coupon_redemption (id) WHERE is_good(id)'), ('constant predicate', 'CREATE INDEX zz ON coupon_redemption (id) WHERE is_good()'),
  ('constant predicate of coupons', 'CREATE INDEX zz ON coupon (id) WHERE is_good()'), ('constant predicate of the quota', 'CREATE INDEX zz ON coupon_quota (remaining) WHERE is_good()'),
  ('exclusion', 'ALTER TABLE coupon_redemption ADD EXCLUDE USING btree (id WITH =, is_good(id) WITH =)'),
  ('default', 'ALTER TABLE coupon_redemption ADD zz bool; ALTER TABLE coupon_redemption ALTER zz SET DEFAULT is_good(random())'),
  ('default of ours', 'ALTER TABLE coupon_redemption ALTER metadata SET DEFAULT to_jsonb(is_good(random()))'),
  ('generated column', 'ALTER TABLE coupon_redemption ADD zz bool GENERATED ALWAYS AS (is_good(use_no)) STORED'),
  ('generated column of the quota', 'ALTER TABLE coupon_quota ADD zz bool GENERATED ALWAYS AS (is_good(stripe)) STORED'),
  ('domain', 'ALTER TABLE coupon_redemption ADD zz watched; ALTER TABLE coupon_redemption ALTER zz SET DEFAULT 1'),
  ('policy', 'ALTER TABLE coupon_redemption ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY zz ON coupon_redemption USING (is_good(id)) WITH CHECK (is_good(id))'),
  ('rule', 'CREATE RULE zz AS ON INSERT TO coupon_redemption DO ALSO SELECT is_good(1)');
CREATE TEMP TABLE deed (no int GENERATED ALWAYS AS IDENTITY, name text, command text);
INSERT INTO deed (name, command) VALUES
  ('nothing', ''), ('raises', 'SELECT 1 / 0'), ('raises, caught', 'caught: SELECT 1 / 0'),
  ('redeems the same', 'SELECT redeem_coupon(1, ''TOUR'')'), ('redeems another', 'SELECT redeem_coupon(50, ''TOUR'')'), ('redeems all', 'SELECT redeem_coupon(i, ''TOUR'') FROM generate_series(60, 70) i'),
  ('redeems, rolled back', 'caught: SELECT redeem_coupon(50, ''TOUR''), 1 / (random() * 0)::int'), ('redeems again and again', 'again and again: SELECT redeem_coupon((random() * 1e9)::int, ''TOUR-ANY'')'),
  ('voids all', 'SELECT void_redemption(id) FROM coupon_redemption'), ('deletes all', 'DELETE FROM coupon_redemption'), ('empties the tables', 'TRUNCATE coupon_redemption, coupon, campaign'),
  ('empties the quota', 'DELETE FROM coupon_quota'), ('writes to the quota', 'UPDATE coupon_quota SET remaining = remaining + 10'), ('raises the cap', 'UPDATE coupon SET max_redemptions = max_redemptions + 1'),
  ('takes the cap away', 'UPDATE coupon SET max_redemptions = NULL'), ('lowers the cap', 'UPDATE coupon SET max_redemptions = 1'), ('deletes coupons', 'DELETE FROM coupon'), ('renumbers', 'UPDATE coupon SET id = id + 1000'),
  ('renames codes', 'UPDATE coupon SET code = code || ''2'''), ('drops the ledger', 'DROP TABLE coupon_redemption CASCADE'), ('drops the extension', 'TRUNCATE coupon_redemption, coupon, campaign; DROP EXTENSION coupon_guard CASCADE'),
  ('drops triggers', 'DROP TRIGGER coupon_redemption_follow_change ON coupon_redemption; DROP TRIGGER coupon_quota_follow_change ON coupon_quota'),
  ('disables triggers', 'ALTER TABLE coupon_redemption DISABLE TRIGGER ALL; ALTER TABLE coupon DISABLE TRIGGER ALL; ALTER TABLE coupon_quota DISABLE TRIGGER ALL'),
  ('disables those of coupons', 'ALTER TABLE coupon DISABLE TRIGGER ALL'), ('disables those of the quota', 'ALTER TABLE coupon_quota DISABLE TRIGGER ALL'),
  ('drops an index', 'DROP INDEX coupon_redemption_use_unique'), ('drops an index of coupons', 'ALTER TABLE coupon DROP CONSTRAINT coupon_code_key_unique'), ('drops an index of the quota', 'ALTER TABLE coupon_quota DROP CONSTRAINT coupon_quota_pkey'),
  ('adds a column', 'ALTER TABLE coupon_redemption ADD more int DEFAULT random()'), ('adds a column to coupons', 'ALTER TABLE coupon ADD more int DEFAULT random()'), ('adds a column to the quota', 'ALTER TABLE coupon_quota ADD more int DEFAULT random()'),
  ('drops a column', 'ALTER TABLE coupon_redemption DROP metadata CASCADE'), ('drops a column of coupons', 'ALTER TABLE coupon DROP terms CASCADE'), ('changes a type', 'ALTER TABLE coupon_quota ALTER remaining TYPE numeric'),
  ('renames the ledger', 'ALTER TABLE coupon_redemption RENAME TO other'), ('renames the quota', 'ALTER TABLE coupon_quota RENAME TO other'), ('renames a function', 'ALTER FUNCTION redeem_coupon(bigint, text, text, jsonb) RENAME TO other'),
  ('moves the schema', 'CREATE SCHEMA elsewhere; ALTER TABLE coupon_quota SET SCHEMA elsewhere'), ('rebuilds indexes', 'REINDEX TABLE coupon_quota; REINDEX TABLE coupon'),
  ('commits', 'CALL commits()'), ('sets search_path', 'SET search_path = nosuch'), ('sets a role', 'SET ROLE pg_monitor'), ('resets the session', 'SET LOCAL session_replication_role = replica'),
  ('closes cursors', 'CLOSE ALL'), ('discards plans', 'DEALLOCATE ALL'), ('sets limits', 'SET LOCAL lock_timeout = 1; SET LOCAL work_mem = 64'), ('locks', 'LOCK TABLE coupon_redemption, coupon, coupon_quota'),
  ('releases', 'SELECT release_units(''TOUR'', 1, ''00000000-0000-0000-0000-000000000008'', ''two'')'), ('releases the same', 'SELECT release_units(''TOUR'', 2, ''00000000-0000-0000-0000-000000000001'', ''two'')'),
  ('accepts', 'SELECT accept_units(''TOUR'', 1, ''00000000-0000-0000-0000-000000000009'', ''two'')'), ('changes rights', 'UPDATE coupon SET rights = rights - 1 WHERE code = ''TOUR'''), ('takes rights away', 'UPDATE coupon SET rights = NULL'),
  ('settles all', 'SELECT settle_transfer(transfer_id) FROM coupon_transfer'), ('deletes transfers', 'DELETE FROM coupon_transfer'), ('writes to transfers', 'UPDATE coupon_transfer SET units = units + 1'), ('is no shard', 'DELETE FROM coupon_shard'),
  ('adds a column to transfers', 'ALTER TABLE coupon_transfer ADD more int DEFAULT random()'), ('drops an index of transfers', 'ALTER TABLE coupon_transfer DROP CONSTRAINT coupon_transfer_pkey');
CREATE TEMP TABLE call (no int GENERATED ALWAYS AS IDENTITY, name text, command text);
INSERT INTO call (name, command) VALUES
  ('redeem', 'SELECT status FROM redeem_coupon(1, ''TOUR'')'), ('many', 'SELECT count(*) FROM redeem_coupon_for_each(''{1,1,2,3,4,5}''::bigint[], ''{TOUR,TOUR,TOUR,TOUR-ANY,TOUR,TOUR}'')'),
  ('several', 'SELECT count(*) FROM redeem_coupons(1, ''{TOUR,TOUR-ANY,TOUR}'')'), ('amounts', 'SELECT count(*) FROM redeem_coupons(1, ''{TOUR-ONE,TOUR-TWO}'', amounts => ''{5,5}'')'),
  ('hold, confirm', 'SELECT count(c.status) FROM hold_coupon(1, ''TOUR'') h, LATERAL confirm_hold(h.redemption_id) c'), ('redeem, void', 'SELECT count(v) FROM redeem_coupon(1, ''TOUR'') r, LATERAL void_redemption(r.redemption_id) v'),
  ('part', 'SELECT count(v) FROM redeem_coupon(1, ''TOUR-ONE'', 50) r, LATERAL void_redemption(r.redemption_id, 20) v'), ('claim', 'SELECT count(c.status) FROM claim_coupon(1, ''Tour'') c'),
  ('generate', 'SELECT count(*) FROM generate_coupons(''Tour'', 3, ''NEW-????????'')'), ('raise the cap', 'UPDATE coupon SET max_redemptions = 5 WHERE code = ''TOUR'' RETURNING 1'),
  ('plain insert', 'INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, ''7'', 1 FROM coupon WHERE code = ''TOUR'' RETURNING 1'), ('look', 'SELECT status FROM check_coupon(1, ''TOUR'')'),
  ('release', 'SELECT release_units(''TOUR'', 2, ''00000000-0000-0000-0000-000000000001'', ''two'')'), ('accept', 'SELECT accept_units(''TOUR'', 2, ''00000000-0000-0000-0000-000000000002'', ''two'')'),
  ('settle', 'SELECT settle_transfer(''00000000-0000-0000-0000-000000000003'')'), ('look at units', 'SELECT remaining FROM coupon_guard_units(''TOUR'')');
CREATE TEMP TABLE outcome (place text, deed text, call text, answer text, calls int);
-- What is broken, asked within a transaction, whose units at hand are in no quota: so a quota may have less than the ledger says, and never more.
CREATE FUNCTION pg_temp.broken() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(invariant || ' ' || detail, ', ')
    FROM coupon_guard_verify(), LATERAL regexp_match(detail, '(\d+)(?: units)? left \+ (?:amounts of )?(\d+) .* (\d+)$') AS figures
   WHERE invariant !~ 'quota$' OR figures IS NULL OR figures[1]::numeric + figures[2]::numeric > figures[3]::numeric
$$;
-- What comes of one call, and how often the shop's code was called. All is undone.
CREATE FUNCTION pg_temp.outcome_of(deed text, call text, OUT answer text, OUT calls int) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    PERFORM set_config('shop.deed', deed, true), set_config('shop.calls', '0', false);
    EXECUTE call INTO answer;
    SET CONSTRAINTS ALL IMMEDIATE;
    answer := 'answered';
  EXCEPTION WHEN OTHERS THEN
    answer := sqlstate;
  END;
  calls := current_setting('shop.calls');
  -- After an error all is as it was.
  IF answer = 'answered' THEN
    PERFORM set_config('shop.deed', '', true), set_config('search_path', 'public', true), set_config('role', 'none', true);
    BEGIN
      answer := coalesce('broken: ' || pg_temp.broken(), answer);
    EXCEPTION WHEN OTHERS THEN
      answer := 'answered, then ' || sqlstate;
    END;
  END IF;
  RAISE EXCEPTION SQLSTATE 'UNDO0';
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
END $$;
CREATE FUNCTION pg_temp.outcomes_at(at place, part int) RETURNS SETOF outcome LANGUAGE plpgsql AS $$
DECLARE
  d record;
  outcome outcome;
  outcomes outcome[] := '{}';
BEGIN
  BEGIN
    PERFORM redeem_coupon(2, 'TOUR'), hold_coupon(3, 'TOUR', '1 microsecond'), redeem_coupon(2, 'TOUR-ONE', 20),
      accept_units('TOUR', 1, '00000000-0000-0000-0000-000000000004', 'two'), release_units('TOUR', 1, '00000000-0000-0000-0000-000000000003', 'two');
    EXECUTE at.command;
    FOR d IN SELECT deed.name AS deed, deed.command AS does, call.name AS call, call.command AS calls FROM deed, call
              WHERE abs(hashtext(concat(at.name, deed.name, call.name))) % part = 0
                 AND (call.name IN ('release', 'accept') OR (at.name ~ 'coupons?$') = (call.name IN ('claim', 'generate', 'raise the cap'))) ORDER BY deed.no, call.no LOOP
      SELECT at.name, d.deed, d.call, o.answer, o.calls INTO outcome FROM pg_temp.outcome_of(d.does, d.calls) AS o;
      outcomes := outcomes || outcome;
    END LOOP;
    RAISE EXCEPTION SQLSTATE 'UNDO1';
  EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
  END;
  RETURN QUERY SELECT (unnest(outcomes)).*;
END $$;
CREATE PROCEDURE pg_temp.try_all(part int) LANGUAGE plpgsql AS $$
DECLARE
  p place;
BEGIN
  FOR p IN SELECT * FROM place ORDER BY no LOOP
    INSERT INTO outcome SELECT * FROM pg_temp.outcomes_at(p, part);
    COMMIT;
  END LOOP;
END $$;
\getenv part COUPON_GUARD_HOSTILE_PART
\if :{?part}
\else
  \set part 20
\endif
SET statement_timeout = 0;
CALL pg_temp.try_all(:part);
\set ECHO all
-- What is broken, or says that something inside is. (What a rule adds to plain SQL is not in our hands.)
SELECT DISTINCT deed, call, place, answer FROM outcome WHERE answer ~ '^(broken|XX)' AND NOT (place = 'rule' AND call = 'plain insert') ORDER BY 1, 2, 3 LIMIT 20;
SELECT count(*) > 500 AS many, count(DISTINCT place) FILTER (WHERE calls > 0) > 25 AS of_places, count(DISTINCT deed) FILTER (WHERE calls > 0) > 40 AS of_deeds,
       count(DISTINCT answer) > 10 AS various FROM outcome;
-- Policies and rules are for plain SQL; a foreign key is looked up by the server.
SELECT place FROM outcome WHERE calls > 0 AND place IN ('policy', 'rule', 'trigger of a foreign key') AND call <> 'plain insert';

-- A coupon, or its campaign, that is taken away in the midst of its redemption; and limits that it is given then.
TRUNCATE coupon_redemption, coupon, campaign, coupon_transfer, coupon_shard;
\set ECHO none
SET shop.calls = 0;
CREATE FUNCTION pg_temp.redeemed_meanwhile(deed text, in_table text DEFAULT 'coupon_redemption', prepared text DEFAULT 'SELECT') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  answer text;
BEGIN
  BEGIN
    PERFORM set_config('shop.deed', '', true);
    INSERT INTO campaign (id, name, max_redemptions) VALUES (7, 'Tour', 3);
    INSERT INTO coupon (id, code, max_per_user, campaign_id) VALUES (100, 'X', NULL, 7);
    PERFORM redeem_coupon(2, 'X', amount => 3) WHERE in_table = 'coupon_quota';
    EXECUTE format('CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON %I FOR EACH ROW EXECUTE FUNCTION on_row()', in_table);
    EXECUTE prepared;
    PERFORM set_config('shop.deed', deed, true);
    SELECT status INTO answer FROM redeem_coupon(1, 'X', amount => 3);
    answer := coalesce('broken: ' || pg_temp.broken(), answer);
    RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = answer;
  EXCEPTION
    WHEN SQLSTATE 'UNDO0' THEN RETURN sqlerrm;
    WHEN OTHERS THEN RETURN sqlstate;
  END;
END $$;
\set ECHO all
SELECT pg_temp.redeemed_meanwhile('DELETE FROM coupon') AS deleted, pg_temp.redeemed_meanwhile('TRUNCATE coupon') AS truncated,
       pg_temp.redeemed_meanwhile('UPDATE coupon SET id = 200') AS renumbered, pg_temp.redeemed_meanwhile('UPDATE coupon SET campaign_id = NULL') AS moved,
       pg_temp.redeemed_meanwhile('UPDATE coupon SET campaign_id = NULL; DELETE FROM campaign') AS campaign_deleted,
       pg_temp.redeemed_meanwhile('UPDATE coupon SET budget = 2') AS budget, pg_temp.redeemed_meanwhile('UPDATE campaign SET budget = 2') AS campaign_budget,
       pg_temp.redeemed_meanwhile('UPDATE coupon SET max_redemptions = 1') AS cap, pg_temp.redeemed_meanwhile('UPDATE coupon SET max_redemptions = 1', 'coupon_quota') AS second_of_cap_1,
       pg_temp.redeemed_meanwhile('UPDATE coupon SET budget = 5', 'coupon_quota') AS second_of_budget_5, pg_temp.redeemed_meanwhile('UPDATE campaign SET budget = 5', 'coupon_quota') AS of_campaign;
-- ... and while the quota is being set up: it is counted once more, and in the end refused.
SELECT pg_temp.redeemed_meanwhile('UPDATE campaign SET max_redemptions = max_redemptions - 1', 'coupon_quota', 'DELETE FROM coupon_quota') AS lowered,
       pg_temp.redeemed_meanwhile('UPDATE campaign SET max_redemptions = NULL', 'coupon_quota', 'DELETE FROM coupon_quota') AS taken_away,
       pg_temp.redeemed_meanwhile('UPDATE campaign SET rights = 1', 'coupon_quota', 'DELETE FROM coupon_quota') AS less_than_used,
       pg_temp.redeemed_meanwhile('again and again: UPDATE campaign SET max_redemptions = max_redemptions + 1', 'coupon_quota', 'DELETE FROM coupon_quota') AS again_and_again;

-- The very row that is being inserted, changed by a function in an index
INSERT INTO coupon (code) VALUES ('X');
CREATE FUNCTION does(bigint) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM do_deed('index'); RETURN true; END $$;
CREATE INDEX zz_ledger ON coupon_redemption (does(id));
CREATE INDEX zz_coupon ON coupon (does(id));
\set VERBOSITY sqlstate
SET shop.deed = 'UPDATE coupon_redemption SET void_reason = ''x''';
SELECT status FROM redeem_coupon(1, 'X');
SET shop.deed = 'DELETE FROM coupon_redemption';
SELECT status FROM redeem_coupon(1, 'X');
SET shop.deed = 'SELECT 1 FROM coupon_redemption FOR UPDATE';
SELECT status FROM redeem_coupon(1, 'X');
SET shop.deed = 'UPDATE coupon SET terms = ''{}''';
SELECT count(*) FROM generate_coupons(NULL, 2, 'NEW-????????');
SET shop.deed = '';
SET statement_timeout = '60s';
SET enable_seqscan = off;
SELECT count(*) FROM coupon_redemption WHERE id > 0;
SELECT count(*) FROM coupon WHERE id > 0;
RESET enable_seqscan;
SELECT * FROM coupon_guard_verify();

TRUNCATE coupon_redemption, coupon, campaign;
DROP EXTENSION coupon_guard CASCADE;
DROP DOMAIN watched CASCADE;
DROP FUNCTION on_row, is_good(anyelement), is_good(), does, do_deed;
DROP PROCEDURE commits;
DROP TABLE customer;
