-- Nobody need write to the quota, nor switch triggers off; whoever does, and whatever plain SQL meanwhile does to coupons, ledger and quota: the
-- next buyers find it counted anew. There are never more live redemptions than the cap says, never fewer, and nothing is broken.
\a \t
CREATE EXTENSION coupon_guard;
SET coupon_guard.quota_stripes = 3;
\set VERBOSITY sqlstate
SET statement_timeout = '60s';

-- The triggers as they were made, to be put back
\set ECHO none
CREATE TEMP TABLE made AS
SELECT tgrelid::regclass AS of_table, tgname AS name, pg_get_triggerdef(oid) AS definition,
       CASE tgenabled WHEN 'A' THEN 'ENABLE ALWAYS' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE' END AS state
  FROM pg_trigger WHERE tgrelid IN ('coupon'::regclass, 'coupon_redemption'::regclass, 'coupon_quota'::regclass) AND NOT tgisinternal;
CREATE PROCEDURE pg_temp.put_back() LANGUAGE plpgsql AS $$
DECLARE
  m record;
BEGIN
  FOR m IN SELECT * FROM made LOOP
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = m.of_table AND tgname = m.name) THEN EXECUTE m.definition; END IF;
    EXECUTE format('ALTER TABLE %s %s TRIGGER %I', m.of_table, m.state, m.name);
  END LOOP;
END $$;
CREATE PROCEDURE pg_temp.drop_triggers() LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE (SELECT string_agg(format('DROP TRIGGER %I ON %s', name, of_table), '; ') FROM made);
END $$;

-- X has a cap of 10: four of them used, or all and that known to the session. In the end twenty come for it.
CREATE TEMP TABLE outcome (no int GENERATED ALWAYS AS IDENTITY, how text, command text, outcome text);
CREATE PROCEDURE pg_temp.buy(first int, last int) LANGUAGE sql AS $$ SELECT count(redeem_coupon(i, 'X')) FROM generate_series(first, last) i $$;
CREATE PROCEDURE pg_temp.run(command text, INOUT outcome text) LANGUAGE plpgsql AS $$
BEGIN
  BEGIN
    EXECUTE command;
  EXCEPTION WHEN OTHERS THEN
    outcome := concat_ws('; ', outcome, sqlstate);
  END;
  COMMIT;
END $$;
CREATE PROCEDURE pg_temp.try(how text, before text, commands text[], afterwards text) LANGUAGE plpgsql AS $$
DECLARE
  command text;
  used int;
  outcome text;
BEGIN
  FOREACH command IN ARRAY commands LOOP
    FOREACH used IN ARRAY '{4, 12}'::int[] LOOP
      CALL pg_temp.put_back();
      TRUNCATE coupon, coupon_redemption;
      INSERT INTO coupon (id, code, max_redemptions) VALUES (1, 'X', 10), (2, 'ONE', 1), (3, 'FREE', NULL);
      COMMIT;
      CALL pg_temp.buy(1, used);
      COMMIT;
      outcome := NULL;
      CALL pg_temp.run(before, outcome);
      CALL pg_temp.run(command, outcome);
      CALL pg_temp.run(afterwards, outcome);
      CALL pg_temp.buy(101, 120);
      COMMIT;
      outcome := concat_ws('; ', outcome, (SELECT nullif(format('%s of %s', live, max_redemptions), format('%1$s of %1$s', max_redemptions))
          FROM coupon c, LATERAL (SELECT count(*) AS live FROM coupon_redemption r WHERE r.coupon_id = c.id AND r.voided_at IS NULL) l WHERE code = 'X'),
        (SELECT string_agg(invariant, ', ') FROM coupon_guard_verify()));
      INSERT INTO outcome (how, command, outcome) VALUES (how, command, coalesce(nullif(outcome, ''), 'right'));
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
\set ECHO all

-- The quota written by plain SQL
CALL pg_temp.try('plainly', '', ARRAY[
  'UPDATE coupon_quota SET remaining = remaining + 1000',
  'UPDATE coupon_quota SET remaining = 1',
  'UPDATE coupon_quota SET remaining = 0 WHERE stripe = 0',
  'UPDATE coupon_quota SET remaining = remaining',
  'UPDATE coupon_quota SET stripe = stripe + 100 WHERE remaining > 0',
  'UPDATE coupon_quota SET owner_id = 2',
  'UPDATE coupon_quota SET owner_id = 99',
  'UPDATE coupon_quota SET kind = ''x''',
  'UPDATE coupon_quota SET kind = chr(98 + stripe)::"char"',
  'INSERT INTO coupon_quota (owner_id, kind, stripe, generation, remaining) VALUES (1, ''x'', 0, coupon_guard_generation(), 500)',
  'UPDATE coupon_quota SET owner_id = 1 + 98 * (stripe % 2)',
  'DELETE FROM coupon_quota',
  'DELETE FROM coupon_quota WHERE owner_id = 1',
  'DELETE FROM coupon_quota WHERE stripe = 0',
  'DELETE FROM coupon_quota WHERE stripe > 0',
  'TRUNCATE coupon_quota',
  'INSERT INTO coupon_quota SELECT (jsonb_populate_record(q, ''{"stripe": 777, "remaining": 500}'')).* FROM coupon_quota q WHERE stripe = 0',
  'INSERT INTO coupon_quota (owner_id, kind, stripe, remaining) VALUES (1, ''c'', 778, 500)',
  'INSERT INTO coupon_quota (owner_id, kind, stripe, remaining) VALUES (1, ''c'', 0, 500) ON CONFLICT (owner_id, kind, stripe) DO UPDATE SET remaining = 500',
  'INSERT INTO coupon_quota (owner_id, kind, stripe, remaining) VALUES (2, ''c'', 0, 500), (3, ''c'', 0, 500), (99, ''c'', 0, 500)',
  'MERGE INTO coupon_quota USING (VALUES (0), (5)) AS s (no) ON stripe = no WHEN MATCHED THEN UPDATE SET remaining = 50 WHEN NOT MATCHED THEN INSERT (owner_id, kind, stripe, remaining) VALUES (1, ''c'', no, 50)',
  'WITH gone AS (DELETE FROM coupon_quota RETURNING stripe) SELECT redeem_coupon(50 + 0 * count, ''X'') FROM (SELECT count(*) FROM gone) AS g',
  'WITH more AS (UPDATE coupon_quota SET remaining = remaining + 100 RETURNING stripe) SELECT redeem_coupon(i + 0 * count, ''X'') FROM (SELECT count(*) FROM more) AS g, generate_series(50, 70) i',
  'CALL pg_temp.buy(50, 52); DELETE FROM coupon_quota; CALL pg_temp.buy(53, 55)',
  'CALL pg_temp.buy(50, 52); UPDATE coupon_quota SET remaining = remaining + 100; CALL pg_temp.buy(53, 55)',
  'CALL pg_temp.buy(50, 52); TRUNCATE coupon_quota; SELECT void_redemption(min(id)) FROM coupon_redemption',
  'DELETE FROM coupon_quota; UPDATE coupon SET max_redemptions = 12 WHERE id = 1',
  'DELETE FROM coupon_quota; DELETE FROM coupon_redemption WHERE user_id IN (''1'', ''2'')',
  'UPDATE coupon_quota SET remaining = 9223372036854775807'], '');
SELECT command, string_agg(outcome, ' | ' ORDER BY no) AS outcomes FROM outcome WHERE outcome <> 'right' GROUP BY command ORDER BY min(no);
SELECT count(*) FROM outcome;
TRUNCATE outcome;
-- ... and as a COPY
TRUNCATE coupon, coupon_redemption;
INSERT INTO coupon (id, code, max_redemptions) VALUES (1, 'X', 10);
DELETE FROM coupon_quota WHERE stripe > 0;
COPY coupon_quota (owner_id, kind, stripe, remaining) FROM STDIN;
1	c	1	500
1	c	2	500
\.
CALL pg_temp.buy(1, 20);
SELECT redeemed, remaining_units FROM coupon_usage;
-- Rolled back it has not been.
BEGIN;
SAVEPOINT s;
UPDATE coupon_quota SET remaining = remaining + 100;
SELECT status FROM redeem_coupon(21, 'X');
ROLLBACK TO s;
SELECT status FROM redeem_coupon(21, 'X');
COMMIT;
SELECT redeemed, remaining_units FROM coupon_usage;
SELECT * FROM coupon_guard_verify();

-- Coupons, ledger and quota changed as a replica does it, while triggers are off, after they are gone
\set ECHO none
CREATE FUNCTION pg_temp.commands() RETURNS text[] LANGUAGE sql AS $$
  SELECT ARRAY[
    'INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 1, ''hand '' || i, 1 FROM generate_series((SELECT count(*) FROM coupon_redemption), 8) i',
    'INSERT INTO coupon_redemption (coupon_id, user_id, use_no, voided_at) VALUES (1, ''hand'', 1, now())',
    'UPDATE coupon_redemption SET voided_at = now() WHERE user_id <= ''2''',
    'UPDATE coupon_redemption SET coupon_id = 3 WHERE user_id <= ''2''',
    'UPDATE coupon_redemption SET hold_expires_at = ''2001-01-01'' WHERE user_id <= ''2''',
    'DELETE FROM coupon_redemption WHERE user_id <= ''2''',
    'DELETE FROM coupon_redemption',
    'TRUNCATE coupon_redemption',
    'UPDATE coupon SET max_redemptions = 15 WHERE id = 1',
    'UPDATE coupon SET max_redemptions = (SELECT count(*) FROM coupon_redemption) WHERE id = 1',
    'UPDATE coupon SET id = 5 WHERE id = 2; INSERT INTO coupon (id, code, max_redemptions) VALUES (4, ''FOUR'', 4)',
    'DELETE FROM coupon WHERE id = 2',
    'UPDATE coupon SET max_redemptions = NULL WHERE id = 1; UPDATE coupon SET max_redemptions = 11 WHERE id = 1',
    'DELETE FROM coupon_redemption; DELETE FROM coupon WHERE id = 1; INSERT INTO coupon (id, code, max_redemptions) VALUES (1, ''X'', 7)',
    'TRUNCATE coupon, coupon_redemption; INSERT INTO coupon (id, code, max_redemptions) VALUES (1, ''X'', 7)',
    'UPDATE coupon_quota SET remaining = remaining + 1000',
    'INSERT INTO coupon_quota (owner_id, kind, stripe, remaining) VALUES (1, ''c'', 778, 500), (2, ''c'', 0, 1)',
    'DELETE FROM coupon_quota WHERE stripe = 0',
    'TRUNCATE coupon_quota',
    'SELECT void_redemption(id) FROM coupon_redemption WHERE user_id <= ''2''',
    'SELECT hold_coupon(60, ''X''); CALL pg_temp.buy(60, 63)']
$$;
\set ECHO all
CALL pg_temp.try('as a replica', 'SET session_replication_role = replica', pg_temp.commands(), 'RESET session_replication_role');
CALL pg_temp.try('as a replica, redeemed too', 'SET session_replication_role = replica; CALL pg_temp.buy(50, 51)', pg_temp.commands(),
  'CALL pg_temp.buy(52, 53); RESET session_replication_role');
DO $$
DECLARE
  t text;
  at_once text[];
BEGIN
  FOREACH t IN ARRAY '{coupon, coupon_redemption, coupon_quota}'::text[] LOOP
    CALL pg_temp.try('off and on: ' || t, format('ALTER TABLE %s DISABLE TRIGGER USER', t), pg_temp.commands(), format('ALTER TABLE %s ENABLE TRIGGER USER', t));
    CALL pg_temp.try('off and always on, redeemed meanwhile: ' || t, format('ALTER TABLE %s DISABLE TRIGGER ALL; CALL pg_temp.buy(50, 51)', t), pg_temp.commands(),
      'CALL pg_temp.buy(52, 53); CALL pg_temp.put_back()');
  END LOOP;
  at_once := (SELECT array_agg(format('ALTER TABLE coupon_redemption DISABLE TRIGGER USER; %s; ALTER TABLE coupon_redemption ENABLE TRIGGER USER', c)) FROM unnest(pg_temp.commands()) c);
  CALL pg_temp.try('off and on by one transaction', '', at_once, 'CALL pg_temp.buy(50, 51); CALL pg_temp.put_back()');
END $$;
CALL pg_temp.try('gone', 'CALL pg_temp.drop_triggers()', pg_temp.commands(), '');
CALL pg_temp.try('gone and back, redeemed meanwhile', 'CALL pg_temp.drop_triggers(); CALL pg_temp.buy(50, 51)', pg_temp.commands(), 'CALL pg_temp.buy(52, 53); CALL pg_temp.put_back()');
SELECT how, count(*) FILTER (WHERE outcome = 'right') AS right, count(*) FILTER (WHERE outcome <> 'right') AS wrong FROM outcome GROUP BY how ORDER BY min(no);
SELECT command, string_agg(DISTINCT outcome, ' | ') AS outcomes FROM outcome WHERE outcome <> 'right' GROUP BY command ORDER BY min(no);

-- Put back, the triggers are in force again, and the quota is.
CALL pg_temp.put_back();
SELECT count(*) > 0 AS has_quota FROM coupon_quota;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
