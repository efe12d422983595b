-- What several tests share. To be included by
--   \getenv source PG_ABS_SRCDIR
--   \set tour :source '/sql/lib/tour.sql'
--   \set ECHO none
--   \i :tour
--   \set ECHO all
-- once the extension is there.

-- A loop that does not end is an error that after() does not catch.
SET statement_timeout = '300s';

INSERT INTO coupon (code, max_redemptions, max_per_user, terms) VALUES ('TOUR', 4, 2, '{"off": 10}'), ('TOUR-ANY', NULL, 1, NULL);
INSERT INTO campaign (name, max_redemptions, max_per_user, budget, terms) VALUES ('Tour', 3, 2, 100, '{"off": 5}');
INSERT INTO coupon (code, max_per_user, terms, campaign_id) SELECT code, 2, CASE code WHEN 'TOUR-TWO' THEN '{"off": 7}'::jsonb END, id FROM campaign, unnest('{TOUR-ONE,TOUR-TWO}'::text[]) AS code;

CREATE FUNCTION pg_temp.sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE command;
  RETURN '00000';
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate;
END $$;

-- One of everything that the functions and plain SQL do with a capped coupon and one without a cap.
CREATE TEMP TABLE tour (no int GENERATED ALWAYS AS IDENTITY, command text, answer text);
INSERT INTO tour (command, answer) VALUES
  ('SELECT concat_ws('' '', status, use_no, terms, replayed) FROM redeem_coupon(1, ''TOUR'', ''r-1'', ''{"n": 1}'')', 'redeemed 1 {"off": 10} f'),
  ('SELECT concat_ws('' '', status, use_no, terms, replayed) FROM redeem_coupon(1, ''tour'', ''r-1'', ''{"n": 2}'')', 'redeemed 1 {"off": 10} t'),
  ('SELECT concat_ws('' '', status, use_no, terms, replayed) FROM redeem_coupon(1, ''TOUR'')', 'redeemed 2 {"off": 10} f'),
  ('SELECT concat_ws('' '', status, use_no) FROM redeem_coupon(1, ''TOUR'')', 'already_redeemed 2'),
  ('SELECT concat_ws('' '', status, use_no, hold_expires_at > clock_timestamp(), replayed) FROM hold_coupon(2, ''TOUR'')', 'held 1 t f'),
  ('SELECT concat_ws('' '', status, use_no, hold_expires_at > clock_timestamp(), replayed) FROM hold_coupon(2, ''TOUR'')', 'held 1 t t'),
  ('SELECT status FROM redeem_coupon(3, ''TOUR'')', 'redeemed'),
  ('SELECT status FROM redeem_coupon(4, ''TOUR'')', 'sold_out'),
  ('SELECT concat_ws('' '', status, remaining_uses, remaining_units) FROM check_coupon(4, ''TOUR'')', 'sold_out 2 0'),
  ('SELECT c.status FROM hold_coupon(2, ''TOUR'') h, LATERAL confirm_hold(h.redemption_id) c', 'redeemed'),
  ('SELECT void_redemption(id, ''returned'') FROM coupon_redemption WHERE user_id = ''3''', 'true'),
  ('SELECT status FROM redeem_coupon(4, ''TOUR'')', 'redeemed'),
  ('SELECT status FROM redeem_coupon(5, ''TOUR'')', 'sold_out'),
  ('SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = ''4''', 'true'),
  ('SELECT status FROM hold_coupon(6, ''TOUR'')', 'held'),
  ('UPDATE coupon_redemption SET hold_expires_at = ''2001-01-01'' WHERE user_id = ''6'' RETURNING ''expired''', 'expired'),
  ('SELECT status FROM redeem_coupon(7, ''TOUR'')', 'redeemed'),
  ('SELECT status FROM coupon_redemption, LATERAL confirm_hold(id) WHERE user_id = ''6''', 'expired'),
  ('SELECT string_agg(code || '' '' || status, '', '') FROM redeem_coupons(8, ''{TOUR-ANY,TOUR}'')', 'TOUR-ANY withheld, TOUR sold_out'),
  ('SELECT string_agg(code || '' '' || status, '', '') FROM redeem_coupons(8, ''{TOUR-ANY}'')', 'TOUR-ANY redeemed'),
  ('SELECT concat_ws('' '', status, remaining_uses, remaining_units) FROM check_coupon(9, ''TOUR-ANY'')', 'redeemed 1'),
  ('SELECT pg_temp.sqlstate_of($$INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, ''9'', 1 FROM coupon WHERE code = ''TOUR''$$)', 'RC006'),
  ('UPDATE coupon SET max_redemptions = 6 WHERE code = ''TOUR'' RETURNING max_redemptions', '6'),
  ('SELECT status FROM redeem_coupon(9, ''TOUR'')', 'redeemed'),
  ('INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, ''10'', 1 FROM coupon WHERE code = ''TOUR'' RETURNING use_no', '1'),
  ('SELECT concat_ws('' '', status, remaining_uses, remaining_units) FROM check_coupon(11, ''TOUR'')', 'sold_out 2 0'),
  ('SELECT pg_temp.sqlstate_of($$UPDATE coupon SET max_redemptions = 5 WHERE code = ''TOUR''$$)', '23514'),
  ('UPDATE coupon_redemption SET voided_at = now() WHERE user_id = ''10'' RETURNING user_id', '10'),
  ('SELECT concat_ws('' '', status, remaining_uses, remaining_units) FROM check_coupon(11, ''TOUR'')', 'redeemed 2 1'),
  ('UPDATE coupon SET active = false WHERE code = ''TOUR'' RETURNING active', 'false'),
  ('SELECT status FROM redeem_coupon(11, ''TOUR'')', 'inactive'),
  ('SELECT pg_temp.sqlstate_of($$DELETE FROM coupon WHERE code = ''TOUR''$$)', '23001'),
  ('SELECT concat_ws('' '', status, terms, amount) FROM redeem_coupon(1, ''TOUR-ONE'', 60)', 'redeemed {"off": 5} 60'),
  ('SELECT concat_ws('' '', status, amount, limited_by) FROM redeem_coupon(2, ''TOUR-TWO'', 50)', 'insufficient 40 campaign'),
  ('SELECT concat_ws('' '', status, amount, limited_by) FROM redeem_coupon(2, ''TOUR-TWO'', 50, up_to => true)', 'redeemed 40'),
  ('SELECT concat_ws('' '', status, limited_by) FROM redeem_coupon(1, ''TOUR-TWO'', 1)', 'sold_out campaign'),
  ('SELECT void_redemption(id, 10) FROM coupon_redemption WHERE amount = 60', 'true'),
  ('SELECT concat_ws('' '', status, amount) FROM hold_coupon(1, ''TOUR-TWO'', ''1 hour'', 10)', 'held 10'),
  ('SELECT concat_ws('' '', status, limited_by) FROM redeem_coupon(1, ''TOUR-ONE'', 1)', 'already_redeemed campaign'),
  ('SELECT concat_ws('' '', status, remaining_uses, remaining_units, remaining_budget, limited_by) FROM check_coupon(3, ''TOUR-ONE'')', 'sold_out 2 0 0 campaign'),
  ('UPDATE campaign SET max_redemptions = 4, budget = 110 RETURNING max_redemptions', '4'),
  ('SELECT concat_ws('' '', status, amount) FROM redeem_coupon(3, ''TOUR-ONE'', 10)', 'redeemed 10'),
  ('SELECT pg_temp.sqlstate_of($$UPDATE campaign SET max_redemptions = 3$$)', '23514'),
  ('SELECT pg_temp.sqlstate_of($$DELETE FROM campaign$$)', '23001'),
  ('SELECT string_agg(concat_ws(''/'', user_id, use_no, campaign_use_no, amount, hold_expires_at IS NOT NULL), '', '' ORDER BY redeemed_at)
      FROM coupon_redemption WHERE campaign_id IS NOT NULL', '1/1/1/50/f, 2/1/1/40/f, 1/1/2/10/t, 3/1/1/10/f'),
  ('UPDATE campaign SET active = false RETURNING active', 'false'),
  ('SELECT concat_ws('' '', status, limited_by) FROM redeem_coupon(4, ''TOUR-ONE'', 1)', 'inactive campaign'),
  ('SELECT string_agg(concat_ws(''/'', user_id, use_no, request_id, metadata, void_reason), '', '' ORDER BY user_id::int, use_no)
      FROM coupon_redemption WHERE coupon_id = (SELECT id FROM coupon WHERE code = ''TOUR'')',
   '1/1/r-1/{"n": 1}, 1/2, 2/1, 3/1/returned, 4/1, 6/1/hold expired, 7/1, 9/1, 10/1');

-- 'right', or what was heard instead.
CREATE FUNCTION pg_temp.tour() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  step record;
  heard text;
BEGIN
  FOR step IN SELECT * FROM tour ORDER BY no LOOP
    EXECUTE step.command INTO heard;
    IF heard IS DISTINCT FROM step.answer THEN
      RETURN format('%s: %s', step.command, heard);
    END IF;
  END LOOP;
  RETURN 'right';
END $$;

-- The answers to questions, or the SQLSTATE of the first that fails, after a change; the change and all that came of it are undone.
CREATE FUNCTION pg_temp.after(change text, VARIADIC questions text[] DEFAULT '{SELECT pg_temp.tour()}') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  question text;
  answer text;
  answers text[];
BEGIN
  BEGIN
    EXECUTE change;
  EXCEPTION WHEN OTHERS THEN
    RETURN 'no such change: ' || sqlstate;
  END;
  BEGIN
    FOREACH question IN ARRAY questions LOOP
      EXECUTE question INTO answer;
      answers := answers || answer;
    END LOOP;
  EXCEPTION WHEN OTHERS THEN
    answers := ARRAY[sqlstate];
  END;
  RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = array_to_string(answers, ', ', 'null');
EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
  RETURN sqlerrm;
END $$;
