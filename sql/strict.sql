-- redeem_coupon_strict(): the same row, or an error with an SQLSTATE of its own.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, active, starts_at, expires_at, max_per_user, terms) VALUES
  ('Save10', true,  NULL,                     NULL,                     1, '{"percent_off": 10}'),
  ('TWICE',  true,  NULL,                     NULL,                     2, NULL),
  ('OFF',    false, NULL,                     NULL,                     1, NULL),
  ('FUTURE', true,  '2999-01-01 00:00:00 PST', NULL,                    1, NULL),
  ('PAST',   true,  NULL,                     '2001-01-01 00:00:00 PST', 1, NULL),
  ('NEVER',  true,  'infinity',               NULL,                     1, NULL);

SELECT status, redemption_id, coupon_id, use_no, terms FROM redeem_coupon_strict(1, 'save10');
SELECT status, use_no FROM redeem_coupon_strict('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'TWICE');
SELECT status, use_no FROM redeem_coupon_strict('ann'::text, 'TWICE', metadata => '{"order": 17}');
SELECT metadata FROM coupon_redemption WHERE user_id = 'ann';
SELECT status, use_no FROM redeem_coupon_strict('ann'::text, 'TWICE');

-- Errors name the code as it was typed.
SELECT status FROM redeem_coupon_strict(1, ' nosuch ');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict(1, 'off');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict(1, 'FUTURE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict(1, 'NEVER');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict(1, 'PAST');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict(1, 'Save10');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon_strict('ann'::text, 'TWICE');
\echo :LAST_ERROR_SQLSTATE

-- What was typed is clipped in messages, at a whole character.
SELECT status FROM redeem_coupon_strict(1, repeat('x', 64));
SELECT status FROM redeem_coupon_strict(1, repeat('x', 65));
SELECT status FROM redeem_coupon_strict(1, repeat('x', 63) || U&'\00e9' || 'y');
SELECT status FROM redeem_coupon_strict(1, repeat('x', 1000000));
SELECT status FROM redeem_coupon_strict(repeat('u', 100), 'TWICE');
SELECT status FROM redeem_coupon_strict(repeat('u', 100), 'TWICE');
SELECT status FROM redeem_coupon_strict(repeat('u', 100), 'TWICE');
-- A percent sign is a character like any other.
SELECT status FROM redeem_coupon_strict(1, '%s%n%1000000000s');

-- An error aborts the transaction unless there is a savepoint: what stood before the call is still there.
BEGIN;
SELECT status FROM redeem_coupon_strict(2, 'TWICE');
SAVEPOINT before_refusal;
SELECT status FROM redeem_coupon_strict(2, 'PAST');
ROLLBACK TO before_refusal;
SELECT status FROM redeem_coupon_strict(2, 'TWICE');
COMMIT;
SELECT use_no FROM coupon_redemption WHERE user_id = '2' ORDER BY use_no;

-- In PL/pgSQL each condition can be caught by its SQLSTATE.
DO $$
DECLARE
  typed text;
BEGIN
  FOREACH typed IN ARRAY '{NOSUCH,OFF,FUTURE,PAST,Save10}'::text[] LOOP
    BEGIN
      PERFORM redeem_coupon_strict(1, typed);
    EXCEPTION
      WHEN SQLSTATE 'RC001' THEN RAISE NOTICE '%: no such code', typed;
      WHEN SQLSTATE 'RC002' OR SQLSTATE 'RC003' OR SQLSTATE 'RC004' THEN RAISE NOTICE '%: not now (%)', typed, SQLSTATE;
      WHEN SQLSTATE 'RC005' THEN RAISE NOTICE '%: once is enough', typed;
    END;
  END LOOP;
END $$;

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
