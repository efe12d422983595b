-- A redemption can run while the command that changes its coupon, or rows of the ledger, is still at work: in a data-modifying WITH, in
-- RETURNING, in a shop's own trigger. It goes by what the command has done so far, whatever the order of triggers; there is never a unit
-- too many, nor one too few, and no redemption is left without its coupon.
CREATE EXTENSION coupon_guard;
SET statement_timeout = '10s'; -- for loops that do not end
\set VERBOSITY sqlstate

-- One coupon X: without cap; with a cap of 1; with a cap of 3, one of them used; with a cap of 1, sold out; with a cap of 2, sold out, its
-- quota not set up.
\set ECHO none
CREATE PROCEDURE pg_temp.begin_anew(start text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('shop.is_open', 'no', false); -- for its triggers
  TRUNCATE coupon, coupon_redemption RESTART IDENTITY;
  INSERT INTO coupon (code, max_redemptions) VALUES ('X', CASE start WHEN 'free' THEN NULL WHEN 'used' THEN 3 WHEN 'unset' THEN 2 ELSE 1 END);
  IF start IN ('used', 'full', 'unset') THEN PERFORM redeem_coupon(0, 'X'); END IF;
  IF start = 'unset' THEN PERFORM redeem_coupon(-1, 'X'); END IF;
  COMMIT;
  IF start = 'unset' THEN DELETE FROM coupon_quota; END IF;
  COMMIT;
  PERFORM check_coupon(1, 'X'); -- from now on the session keeps it in mind
  PERFORM set_config('shop.is_open', 'yes', false), set_config('shop.heard', '', false);
  COMMIT;
END $$;
-- What users 1 to 3 hear of a code
CREATE FUNCTION pg_temp.redeem(code text) RETURNS text LANGUAGE sql AS $$
  SELECT CASE WHEN count(DISTINCT answer) = 1 THEN 'all ' || max(answer) ELSE string_agg(answer, ' ' ORDER BY i) END
    FROM (SELECT i, CASE r.status WHEN 'redeemed' THEN 'yes' ELSE r.status::text END AS answer FROM generate_series(1, 3) i, LATERAL redeem_coupon(i, code) r) AS heard
$$;
-- The answer to a command from each start, or its SQLSTATE; what a trigger of the shop heard meanwhile; and what is broken afterwards.
CREATE TEMP TABLE outcome (no int GENERATED ALWAYS AS IDENTITY, name text, start text, answer text, broken text);
CREATE PROCEDURE pg_temp.try(name text, command text) LANGUAGE plpgsql AS $$
DECLARE
  start text;
  answer text;
BEGIN
  FOREACH start IN ARRAY '{free, one, used, full, unset}'::text[] LOOP
    CALL pg_temp.begin_anew(start);
    BEGIN
      EXECUTE command INTO answer;
      answer := concat_ws('; ', answer, nullif(current_setting('shop.heard'), ''));
    EXCEPTION WHEN OTHERS THEN
      answer := sqlstate;
    END;
    COMMIT;
    INSERT INTO outcome (name, start, answer, broken)
      SELECT name, start, answer, string_agg(format('%s: %s', invariant, detail), ', ') FROM coupon_guard_verify();
    COMMIT;
  END LOOP;
END $$;
-- The same for a change in a WITH whose query redeems
CREATE PROCEDURE pg_temp.try_with(name text, change text, query text DEFAULT 'SELECT pg_temp.redeem(code) FROM a') LANGUAGE plpgsql AS $$
BEGIN
  CALL pg_temp.try(name, format('WITH a AS (%s RETURNING *) %s', change, query));
END $$;
CREATE TEMP VIEW outcomes AS
SELECT name, string_agg(DISTINCT answer, ' | ') FILTER (WHERE start = 'free') AS free, string_agg(DISTINCT answer, ' | ') FILTER (WHERE start = 'one') AS one,
       string_agg(DISTINCT answer, ' | ') FILTER (WHERE start = 'used') AS used, string_agg(DISTINCT answer, ' | ') FILTER (WHERE start = 'full') AS "full",
       string_agg(DISTINCT answer, ' | ') FILTER (WHERE start = 'unset') AS unset,
       string_agg(DISTINCT broken, ', ') AS broken
  FROM outcome GROUP BY name ORDER BY min(no);
\set ECHO all

-- The coupon changed, and redeemed by the same command
CALL pg_temp.try_with('deleted', $$DELETE FROM coupon$$, $$SELECT r.status FROM a, LATERAL redeem_coupon(1, a.code) r$$);
CALL pg_temp.try_with('deactivated', $$UPDATE coupon SET active = false$$);
CALL pg_temp.try_with('expired', $$UPDATE coupon SET expires_at = '2001-01-01'$$);
CALL pg_temp.try_with('postponed', $$UPDATE coupon SET starts_at = '2101-01-01'$$);
CALL pg_temp.try_with('renamed, new code', $$UPDATE coupon SET code = 'Y'$$);
CALL pg_temp.try_with('renamed, old code', $$UPDATE coupon SET code = 'Y'$$, $$SELECT pg_temp.redeem('X') FROM a$$);
CALL pg_temp.try_with('another id', $$UPDATE coupon SET id = id + 100$$, $$SELECT concat_ws(' ', r.status, r.coupon_id) FROM a, LATERAL redeem_coupon(1, a.code) r$$);
CALL pg_temp.try_with('other terms', $$UPDATE coupon SET terms = '{"off": 5}'$$, $$SELECT concat_ws(' ', r.status, r.terms) FROM a, LATERAL redeem_coupon(1, a.code) r$$);
CALL pg_temp.try_with('limit 2, one user', $$UPDATE coupon SET max_per_user = 2$$,
  $$SELECT string_agg(r.status::text, ' ') FROM a, generate_series(1, 3) i, LATERAL redeem_coupon(1 + 0 * i, a.code) r$$);
CALL pg_temp.try_with('cap + 1', $$UPDATE coupon SET max_redemptions = max_redemptions + 1$$);
CALL pg_temp.try_with('cap 2', $$UPDATE coupon SET max_redemptions = 2$$);
CALL pg_temp.try_with('no cap', $$UPDATE coupon SET max_redemptions = NULL$$);
CALL pg_temp.try_with('cap 2, on conflict', $$INSERT INTO coupon (code) VALUES ('x') ON CONFLICT (code_key) DO UPDATE SET max_redemptions = 2$$);
CALL pg_temp.try_with('cap 2, void at once', $$UPDATE coupon SET max_redemptions = 2$$,
  $$SELECT bool_and(v.voided) FROM a, LATERAL redeem_coupon(1, code) r, LATERAL void_redemption(r.redemption_id) v (voided)$$);
CALL pg_temp.try_with('cap 2, held', $$UPDATE coupon SET max_redemptions = 2$$, $$SELECT string_agg(r.status::text, ' ') FROM a, generate_series(1, 3) i, LATERAL hold_coupon(i, code) r$$);
CALL pg_temp.try_with('cap 2, checked', $$UPDATE coupon SET max_redemptions = 2$$, $$SELECT concat_ws(' ', r.status, remaining_units) FROM a, LATERAL check_coupon(1, code) r$$);
CALL pg_temp.try_with('new', $$INSERT INTO coupon (code) VALUES ('NEW')$$);
CALL pg_temp.try_with('new, cap 1', $$INSERT INTO coupon (code, max_redemptions) VALUES ('NEW', 1)$$);
CALL pg_temp.try_with('new, cap 2', $$INSERT INTO coupon (code, max_redemptions) VALUES ('NEW', 2)$$);
-- ... in RETURNING, after the change of the row; in WHERE and SET, before it
CALL pg_temp.try('RETURNING, deleted', $$DELETE FROM coupon RETURNING pg_temp.redeem(code)$$);
CALL pg_temp.try('RETURNING, cap 2', $$UPDATE coupon SET max_redemptions = 2 RETURNING pg_temp.redeem(code)$$);
CALL pg_temp.try('RETURNING, new, cap 2', $$INSERT INTO coupon (code, max_redemptions) VALUES ('NEW', 2) RETURNING pg_temp.redeem(code)$$);
CALL pg_temp.try('WHERE, deleted', $$DELETE FROM coupon WHERE pg_temp.redeem(code) > '' RETURNING 'deleted'$$);
CALL pg_temp.try('WHERE, cap 4', $$UPDATE coupon SET max_redemptions = 4 WHERE pg_temp.redeem(code) > '' RETURNING 'changed'$$);
CALL pg_temp.try('SET, cap 4', $$UPDATE coupon SET terms = to_jsonb(pg_temp.redeem(code)), max_redemptions = 4 RETURNING terms$$);
SELECT * FROM outcomes;
TRUNCATE outcome;

-- Coupons changed, and redeemed by a trigger of the shop's, once named so that it fires before ours and once after: both hear the same.
\set ECHO none
CREATE FUNCTION shop_redeems() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('shop.is_open') = 'yes' THEN
    PERFORM set_config('shop.heard', pg_temp.redeem(TG_ARGV[0]), false);
  END IF;
  RETURN CASE WHEN TG_LEVEL = 'ROW' THEN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END END;
END $$;
CREATE PROCEDURE pg_temp.try_trigger(in_table text, function text, event text, name text, command text,
  kinds text[] DEFAULT '{BEFORE ROW, AFTER ROW, BEFORE STATEMENT, AFTER STATEMENT}') LANGUAGE plpgsql AS $$
DECLARE
  trigger_name text;
  kind text;
BEGIN
  FOREACH kind IN ARRAY kinds LOOP
    FOREACH trigger_name IN ARRAY '{a_shop, zz_shop}'::text[] LOOP
      EXECUTE format('CREATE OR REPLACE TRIGGER %I %s %s ON %I FOR EACH %s EXECUTE FUNCTION %s',
        trigger_name, split_part(kind, ' ', 1), event, in_table, split_part(kind, ' ', 2), function);
      COMMIT;
      CALL pg_temp.try(format('%s, %s', kind, name), command);
      EXECUTE format('DROP TRIGGER %I ON %I', trigger_name, in_table);
      COMMIT;
    END LOOP;
  END LOOP;
END $$;
\set ECHO all
CALL pg_temp.try_trigger('coupon', 'shop_redeems(''X'')', 'DELETE', 'deleted', 'DELETE FROM coupon RETURNING NULL');
CALL pg_temp.try_trigger('coupon', 'shop_redeems(''X'')', 'UPDATE', 'deactivated', 'UPDATE coupon SET active = false RETURNING NULL');
CALL pg_temp.try_trigger('coupon', 'shop_redeems(''X'')', 'UPDATE', 'cap + 1', 'UPDATE coupon SET max_redemptions = max_redemptions + 1 RETURNING NULL');
CALL pg_temp.try_trigger('coupon', 'shop_redeems(''X'')', 'UPDATE', 'cap 4', 'UPDATE coupon SET max_redemptions = 4 RETURNING NULL');
CALL pg_temp.try_trigger('coupon', 'shop_redeems(''X'')', 'UPDATE', 'no cap', 'UPDATE coupon SET max_redemptions = NULL RETURNING NULL');
CALL pg_temp.try_trigger('coupon', 'shop_redeems(''NEW'')', 'INSERT', 'new, cap 2', 'INSERT INTO coupon (code, max_redemptions) VALUES (''NEW'', 2) RETURNING NULL');
SELECT * FROM outcomes;
TRUNCATE outcome;

-- Rows of the ledger changed by the functions: a unit that a void gives back can be had at once, by the same command and by an AFTER trigger
-- (a waiting list); a trigger that redeems for another user (a referral) takes one more.
\set ECHO none
CREATE FUNCTION shop_passes_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF current_setting('shop.is_open') = 'yes' AND pg_trigger_depth() = 1 THEN
    PERFORM set_config('shop.heard', ltrim(current_setting('shop.heard') || ' ' || r.status), false)
       FROM (SELECT count(*) AS no FROM coupon_redemption WHERE user_id LIKE 'next %') n, LATERAL redeem_coupon('next ' || n.no, 'X') r;
  END IF;
  RETURN CASE WHEN TG_LEVEL = 'ROW' THEN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END END;
END $$;
\set ECHO all
CALL pg_temp.try('void, redeem', $$SELECT string_agg(r.status::text, ' ') FROM (SELECT void_redemption(id) FROM coupon_redemption) v (voided), LATERAL redeem_coupon(v.voided::int, 'X') r$$);
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'UPDATE', 'void', $$SELECT void_redemption(id) FROM coupon_redemption$$, '{AFTER ROW, AFTER STATEMENT}');
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'INSERT', 'redeem', $$SELECT status FROM redeem_coupon(1, 'X')$$, '{AFTER ROW, AFTER STATEMENT}');
SELECT * FROM outcomes;
TRUNCATE outcome;

-- Rows of the ledger changed by plain SQL: whether their units can be had at once is left open; but nothing is broken. What is, or an error that is not RC006:
CALL pg_temp.try_with('deleted', $$DELETE FROM coupon_redemption$$, $$SELECT count(pg_temp.redeem('X')) FROM a$$);
CALL pg_temp.try_with('voided', $$UPDATE coupon_redemption SET voided_at = now()$$, $$SELECT count(pg_temp.redeem('X')) FROM a$$);
CALL pg_temp.try_with('written', $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'hand', 1)$$, $$SELECT count(pg_temp.redeem('X')) FROM a$$);
CALL pg_temp.try_with('written as voided', $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no, voided_at) VALUES (1, 'hand', 1, now())$$,
  $$SELECT count(pg_temp.redeem('X')) FROM a$$);
CALL pg_temp.try('redeemed and written', $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no)
  SELECT 1, 'hand' || i, 1 FROM generate_series(1, 3) i WHERE i = 1 OR pg_temp.redeem('X') > '' RETURNING 1$$);
CALL pg_temp.try('RETURNING', $$DELETE FROM coupon_redemption RETURNING pg_temp.redeem('X')$$);
CALL pg_temp.try('deleted, cap 2', $$WITH a AS (DELETE FROM coupon_redemption RETURNING id), b AS (UPDATE coupon SET max_redemptions = 2 RETURNING code)
  SELECT count(pg_temp.redeem(code)) FROM b, (SELECT count(*) FROM a) AS c$$);
CALL pg_temp.try_with('cap 2, written', $$UPDATE coupon SET max_redemptions = 2$$,
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, 'hand' || i, 1 FROM a, generate_series(1, 2) i RETURNING 1$$);
CALL pg_temp.try_with('new, cap 2, written', $$INSERT INTO coupon (code, max_redemptions) VALUES ('NEW', 2)$$,
  $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, 'hand' || i, 1 FROM a, generate_series(1, 3) i RETURNING 1$$);
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'DELETE', 'deleted', $$DELETE FROM coupon_redemption RETURNING 1$$);
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'UPDATE', 'voided', $$UPDATE coupon_redemption SET voided_at = now() RETURNING 1$$);
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'INSERT', 'written', $$INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'hand', 1) RETURNING 1$$);
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'UPDATE', 'void', $$SELECT void_redemption(id) FROM coupon_redemption$$, '{BEFORE ROW, BEFORE STATEMENT}');
CALL pg_temp.try_trigger('coupon_redemption', 'shop_passes_on()', 'INSERT', 'redeem', $$SELECT status FROM redeem_coupon(1, 'X')$$, '{BEFORE ROW, BEFORE STATEMENT}');
SELECT name, start, answer, broken FROM outcome WHERE broken IS NOT NULL OR answer ~ '^[0-9A-Z]{5}$' AND answer <> 'RC006' ORDER BY no;
SELECT count(*) FROM outcome;
-- One command that takes two rows, for a waiting list
CREATE TRIGGER a_shop AFTER DELETE OR UPDATE ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION shop_passes_on();
CREATE TRIGGER zz_shop AFTER DELETE OR UPDATE ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION shop_passes_on();
CALL pg_temp.begin_anew('unset');
DELETE FROM coupon_redemption;
SELECT count(*) <= 2 AS not_too_many FROM coupon_redemption WHERE voided_at IS NULL;
UPDATE coupon_redemption SET voided_at = now() WHERE voided_at IS NULL;
SELECT count(*) <= 2 AS not_too_many FROM coupon_redemption WHERE voided_at IS NULL;
SELECT * FROM coupon_guard_verify();
DROP FUNCTION shop_redeems, shop_passes_on CASCADE;

-- Plain SQL beyond the cap is refused (RC006), whether or not the quota has been set up.
TRUNCATE coupon, coupon_redemption;
INSERT INTO coupon (id, code, max_redemptions) VALUES (1, 'ONE', 1), (2, 'TWO', 2), (3, 'LATER', NULL);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'ann', 1);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'bob', 1);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at) VALUES (1, 'carl', 1, '2101-01-01');
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, voided_at) VALUES (1, 'dora', 1, now());
UPDATE coupon_redemption SET voided_at = NULL WHERE user_id = 'dora';
TRUNCATE coupon_redemption;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 2, 'u' || i, 1 FROM generate_series(1, 3) i;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 2, 'v' || i, 1 FROM generate_series(1, 2) i;
UPDATE coupon_redemption SET coupon_id = 1;
DELETE FROM coupon_quota;
COPY coupon_redemption (coupon_id, user_id, use_no) FROM STDIN;
2	w1	1
\.
BEGIN;
UPDATE coupon SET max_redemptions = 1 WHERE code = 'LATER';
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (3, 'ann', 1);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (3, 'bob', 1);
ROLLBACK;
BEGIN;
INSERT INTO coupon (id, code, max_redemptions) VALUES (4, 'NEW', 1);
SAVEPOINT s;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (4, 'ann', 1), (4, 'bob', 1);
ROLLBACK TO s;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (4, 'ann', 1);
SELECT status FROM redeem_coupon('bob'::text, 'NEW');
COMMIT;
SELECT code, redeemed, remaining_units FROM coupon_usage ORDER BY code;
SELECT * FROM coupon_guard_verify();

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
