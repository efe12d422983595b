-- check_coupon says what redeem_coupon would answer, coupon_usage how a coupon stands, coupon_guard_verify what is broken. None of them
-- changes or locks anything: all of it works in a read-only transaction.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code, active, starts_at, expires_at, max_redemptions, max_per_user) VALUES
  (1, 'OPEN', true, NULL, NULL, NULL, NULL), (2, 'OFF', false, NULL, NULL, NULL, 1), (3, 'EARLY', true, '2101-01-01', NULL, 5, 1),
  (4, 'LATE', true, NULL, '2001-01-01', 5, 1), (5, 'ONE', true, NULL, NULL, 1, 1), (6, 'THREE', true, NULL, NULL, 10, 3), (7, 'UNUSED', true, NULL, NULL, 1, 1);
SELECT status FROM redeem_coupon(1, 'ONE');
SELECT status FROM redeem_coupon(1, 'THREE');
SELECT status FROM hold_coupon(2, 'THREE');
SELECT status FROM hold_coupon(3, 'THREE');
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = '3';

-- Every answer, beside what redeem_coupon then says
BEGIN READ ONLY;
CREATE TEMP TABLE nothing ();
ROLLBACK;
BEGIN READ ONLY;
SELECT u.id, c.code, k.status, k.coupon_id, k.remaining_uses, k.remaining_units
  FROM generate_series(1, 4) u(id), unnest(ARRAY['OPEN', 'OFF', 'EARLY', 'LATE', 'ONE', 'THREE', ' unused ', 'NOSUCH']) c(code), LATERAL check_coupon(u.id, c.code) k
 ORDER BY u.id, k.coupon_id;
SELECT code, max_redemptions, redeemed, held, voided, remaining_units FROM coupon_usage ORDER BY coupon_id;
SELECT * FROM coupon_guard_verify();
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND relation::regclass::text LIKE 'coupon%' AND mode <> 'AccessShareLock';
COMMIT;
SELECT u.id, c.code FROM generate_series(1, 4) u(id), coupon c, LATERAL check_coupon(u.id, c.code) k, LATERAL (SELECT status FROM redeem_coupon(u.id, c.code) WHERE k.status IS NOT NULL) r
 WHERE c.code <> 'THREE' AND c.code <> 'UNUSED' AND k.status <> r.status;
SELECT status FROM redeem_coupon(4, 'UNUSED');
SELECT status, remaining_uses, remaining_units FROM check_coupon(4, 'UNUSED');
SELECT status, remaining_uses, remaining_units FROM check_coupon(5, 'UNUSED');
SELECT max_redemptions, redeemed, held, voided, remaining_units FROM coupon_usage WHERE code = 'UNUSED';
-- Misuse
SELECT check_coupon(NULL::bigint, 'OPEN');
\echo :LAST_ERROR_SQLSTATE
SELECT check_coupon(1, NULL);
SELECT check_coupon(''::text, 'OPEN');
SELECT status FROM check_coupon('ann'::text, 'OPEN');
SELECT status FROM check_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'OPEN');
-- A user over a limit that was lowered has no uses left, not less than none; the check shows who is over it.
SELECT r.status, r.use_no FROM generate_series(1, 2) i, LATERAL redeem_coupon(1 + 0 * i, 'THREE') r;
UPDATE coupon SET max_per_user = 2 WHERE code = 'THREE';
SELECT status, remaining_uses FROM check_coupon(1, 'THREE');
SELECT invariant, coupon_id, user_id, detail FROM coupon_guard_verify();
UPDATE coupon SET max_per_user = 3 WHERE code = 'THREE';
-- A hold of one's own; live, in a coupon that is over; expired, in a coupon sold out
UPDATE coupon SET active = false WHERE code = 'THREE';
SELECT u.id, k.status FROM generate_series(2, 3) u(id), LATERAL check_coupon(u.id, 'THREE') k ORDER BY 1;
UPDATE coupon SET active = true, max_redemptions = 5 WHERE code = 'THREE';
SELECT u.id, k.status, k.remaining_uses, k.remaining_units FROM generate_series(2, 4) u(id), LATERAL check_coupon(u.id, 'THREE') k ORDER BY 1;
SELECT status FROM redeem_coupon(4, 'THREE');
SELECT u.id, k.status, k.remaining_uses, k.remaining_units FROM generate_series(2, 4) u(id), LATERAL check_coupon(u.id, 'THREE') k ORDER BY 1;

-- Each invariant that can be broken by hand; the quota follows what comes as from a replica, too.
\set ECHO none
CREATE PROCEDURE pg_temp.break(command text) LANGUAGE plpgsql AS $$
DECLARE
  broken record;
BEGIN
  SET LOCAL session_replication_role = replica;
  EXECUTE command;
  SET LOCAL session_replication_role = origin;
  FOR broken IN SELECT * FROM coupon_guard_verify() LOOP
    RAISE NOTICE '% | % | % | %', broken.invariant, broken.coupon_id, broken.user_id, broken.detail;
  END LOOP;
  ROLLBACK;
END $$;
\set ECHO all
SELECT * FROM coupon_guard_verify();
CALL pg_temp.break('INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (5, ''thief'', 1)');
CALL pg_temp.break('DELETE FROM coupon_redemption WHERE coupon_id = 5');
CALL pg_temp.break('UPDATE coupon_redemption SET voided_at = now() WHERE coupon_id = 5');
CALL pg_temp.break('UPDATE coupon_quota SET remaining = remaining + 1 WHERE owner_id = 5');
CALL pg_temp.break('UPDATE coupon SET max_redemptions = 2 WHERE id = 5');
CALL pg_temp.break('UPDATE coupon SET max_redemptions = NULL WHERE id = 5');
CALL pg_temp.break('DELETE FROM coupon_quota WHERE owner_id = 5; INSERT INTO coupon_quota VALUES (5, ''c'', 1, coupon_guard_generation(), 1)');
CALL pg_temp.break('DELETE FROM coupon WHERE id = 5');
CALL pg_temp.break('ALTER TABLE coupon_redemption DROP CONSTRAINT coupon_redemption_use_no_positive; UPDATE coupon_redemption SET use_no = 0 WHERE coupon_id = 5');
CALL pg_temp.break('ALTER TABLE coupon_redemption DROP CONSTRAINT coupon_redemption_hold_finite; UPDATE coupon_redemption SET hold_expires_at = ''infinity'' WHERE coupon_id = 5');
CALL pg_temp.break('INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 2, ''2'', i FROM generate_series(1, 2) i');
-- What is not broken: a quota that is not set up
CALL pg_temp.break('DELETE FROM coupon_quota WHERE owner_id = 5');
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
