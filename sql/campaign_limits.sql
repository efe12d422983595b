-- A campaign's limits are changed, coupons move, rows of the ledger are written by hand, a campaign goes: what follows.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
\set ECHO none
-- Per campaign: cap, what counts, units of the quota; budget, amounts, what the quota has. '-': no quota is set up.
CREATE VIEW state AS SELECT u.campaign_id, u.name, format('%s of %s, %s left', u.redeemed + u.held, coalesce(u.max_redemptions::text, 'any'),
    coalesce((SELECT sum(remaining) FROM coupon_quota WHERE owner_id = u.campaign_id AND kind = 'C' HAVING bool_or(stripe = 0))::text, '-')) AS cap,
  format('%s of %s, %s left', coalesce(u.redeemed_amount + u.held_amount, 0), coalesce(u.budget::text, 'any'),
    coalesce((SELECT sum(remaining) FROM coupon_quota WHERE owner_id = u.campaign_id AND kind = 'B' HAVING bool_or(stripe = 0))::text, '-')) AS budget
  FROM campaign_usage u ORDER BY u.campaign_id;
-- Does something that breaks an invariant, as a subscription may; says what the check finds, and undoes it.
CREATE PROCEDURE pg_temp.break(command text) LANGUAGE plpgsql AS $$
DECLARE
  broken record;
BEGIN
  SET LOCAL session_replication_role = replica;
  EXECUTE command;
  SET LOCAL session_replication_role = origin;
  FOR broken IN SELECT * FROM coupon_guard_verify() ORDER BY 1, 2, 3, 4 LOOP
    RAISE NOTICE '%', concat_ws(' | ', broken.invariant, broken.coupon_id, broken.user_id, broken.detail);
  END LOOP;
  ROLLBACK;
END $$;
CREATE PROCEDURE pg_temp.break_quota(command text) LANGUAGE plpgsql AS $$
BEGIN
  command := replace(command, 'coupon_guard_generation()', coupon_guard_generation()::text);
  CALL pg_temp.break(format('UPDATE pg_class SET relhastriggers = false WHERE oid = %1$L::regclass; %2$s; UPDATE pg_class SET relhastriggers = true WHERE oid = %1$L::regclass', 'coupon_quota', command));
END $$;
\set ECHO all

-- Limits come, move and go while there are redemptions; those made before the coupon joined count for nothing here.
INSERT INTO campaign (name) VALUES ('C');
INSERT INTO coupon (code, max_per_user) VALUES ('A', NULL), ('B', NULL);
SELECT status FROM redeem_coupon(1, 'A', amount => 1000);
UPDATE coupon SET campaign_id = 1;
SELECT u, status FROM generate_series(2, 4) u, redeem_coupon(u, 'A', amount => 100);
SELECT * FROM state;
UPDATE campaign SET max_redemptions = 2;
UPDATE campaign SET budget = 299;
UPDATE campaign SET max_redemptions = 5, budget = 350;
SELECT * FROM state;
UPDATE campaign SET max_redemptions = 2;
UPDATE campaign SET budget = 299;
UPDATE campaign SET max_redemptions = 3, budget = 300;
SELECT * FROM state;
SELECT status, limited_by FROM redeem_coupon(5, 'B', amount => 1);
UPDATE campaign SET max_redemptions = 4, budget = 1000;
SELECT status, limited_by FROM redeem_coupon(5, 'B', amount => 701);
SELECT status, limited_by FROM redeem_coupon(5, 'B', amount => 700);
UPDATE campaign SET max_redemptions = NULL;
SELECT * FROM state;
UPDATE campaign SET max_redemptions = 4, budget = NULL;
SELECT status, limited_by FROM redeem_coupon(6, 'B');
-- Both ways within a transaction
BEGIN;
UPDATE campaign SET max_redemptions = 9;
SELECT status FROM redeem_coupon(6, 'B');
UPDATE campaign SET max_redemptions = 5;
SELECT status FROM redeem_coupon(7, 'B');
UPDATE campaign SET max_redemptions = NULL;
SELECT status FROM redeem_coupon(7, 'B');
UPDATE campaign SET max_redemptions = 5;
ROLLBACK;
SELECT * FROM state;
-- A limit per user may be lowered below what is used.
UPDATE campaign SET max_per_user = 1, max_redemptions = 10;
SELECT status, limited_by FROM redeem_coupon(5, 'A');
SELECT * FROM coupon_guard_verify();

-- A coupon moves: what was redeemed stays where it was redeemed, is given back there, and counts for a user there.
INSERT INTO campaign (name, max_redemptions, max_per_user, budget) VALUES ('D', 2, 1, 100);
UPDATE coupon SET campaign_id = 2 WHERE code = 'A';
SELECT status, use_no FROM redeem_coupon(5, 'A', amount => 60);
SELECT campaign_id, campaign_use_no FROM coupon_redemption WHERE user_id = '5' ORDER BY id;
SELECT status, limited_by FROM redeem_coupon(5, 'A', amount => 10);
SELECT status, limited_by, amount FROM redeem_coupon(6, 'A', amount => 41);
SELECT * FROM state;
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '2';
SELECT * FROM state;
UPDATE coupon SET campaign_id = NULL WHERE code = 'A';
SELECT status, limited_by FROM redeem_coupon(6, 'A', amount => 1000);
SELECT void_redemption(max(id), amount => 20) FROM coupon_redemption WHERE user_id = '5';
SELECT * FROM state;
UPDATE coupon SET campaign_id = 3;
SELECT count(*), campaign_id FROM coupon_redemption GROUP BY 2 ORDER BY 2;

-- It does not go while it has coupons or redemptions, voided ones included; nor is it renumbered.
DELETE FROM campaign WHERE id = 1;
UPDATE coupon SET campaign_id = NULL;
\set VERBOSITY default
DELETE FROM campaign WHERE id = 1;
UPDATE campaign SET id = 10 WHERE id = 2;
\set VERBOSITY sqlstate
BEGIN;
SELECT void_redemption(id) FROM coupon_redemption WHERE campaign_id = 2;
DELETE FROM campaign WHERE id = 2;
ROLLBACK;
TRUNCATE campaign;
TRUNCATE campaign, coupon;
\set VERBOSITY terse
UPDATE campaign SET id = id WHERE id = 2;
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('E', 9, 9);
UPDATE campaign SET id = 10 WHERE name = 'E';
UPDATE coupon SET campaign_id = 10 WHERE code = 'B';
UPDATE campaign SET id = 11 WHERE name = 'E';
UPDATE coupon SET campaign_id = NULL WHERE code = 'B';
SELECT * FROM state WHERE name = 'E';
DELETE FROM campaign WHERE name = 'E';
SELECT count(*) FROM coupon_quota WHERE kind IN ('C', 'B') AND owner_id > 2;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;
SELECT count(*) FROM coupon_quota;

-- Rows by plain SQL: each counts in the campaign that it names.
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('C', 3, 100), ('D', 2, 50);
INSERT INTO coupon (code, max_per_user, campaign_id) VALUES ('A', NULL, 1);
SELECT status FROM redeem_coupon(1, 'A', amount => 10);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, campaign_id, campaign_use_no, amount) VALUES (1, '2', 1, 1, 1, 90), (1, '3', 1, NULL, NULL, 500);
SELECT * FROM state;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, campaign_id, campaign_use_no, amount) VALUES (1, '4', 1, 1, 1, 1);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, campaign_id, campaign_use_no) VALUES (1, '4', 1, 1, 1), (1, '5', 1, 1, 1);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, campaign_id, campaign_use_no) VALUES (1, '1', 2, 1, 1);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, campaign_id, campaign_use_no) VALUES (1, '1', 2, 1, 0);
UPDATE coupon_redemption SET campaign_id = 2 WHERE user_id = '2';
UPDATE coupon_redemption SET campaign_id = 2, amount = 45 WHERE user_id = '2';
SELECT * FROM state;
UPDATE coupon_redemption SET campaign_id = NULL, campaign_use_no = NULL WHERE user_id = '1';
UPDATE coupon_redemption SET campaign_id = 2 WHERE user_id = '3';
UPDATE coupon_redemption SET campaign_id = 1, amount = 30 WHERE user_id = '3';
SELECT * FROM state;
UPDATE coupon_redemption SET voided_at = now() WHERE user_id = '3';
SELECT * FROM state;
UPDATE coupon_redemption SET voided_at = NULL WHERE user_id = '3';
DELETE FROM coupon_redemption WHERE user_id = '2';
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();
-- One that nobody has numbered counts, for the limit per user too.
UPDATE campaign SET max_per_user = 2;
SELECT status FROM redeem_coupon(3, 'A', amount => 1);
SELECT status, limited_by FROM redeem_coupon(3, 'A', amount => 1);
TRUNCATE coupon_redemption;
SELECT * FROM state;
SELECT status FROM redeem_coupon(3, 'A', amount => 100);

-- Within one command: what it has done so far is seen.
WITH raised AS (UPDATE campaign SET budget = 105 WHERE id = 1 RETURNING id) SELECT status FROM raised, redeem_coupon(3 + 0 * raised.id, 'A', amount => 5);
WITH gone AS (UPDATE campaign SET active = false WHERE id = 1 RETURNING id) SELECT status, limited_by FROM gone, redeem_coupon(3 + 0 * gone.id, 'A', amount => 5);
WITH back AS (UPDATE campaign SET active = true, max_redemptions = 2, budget = NULL WHERE id = 1 RETURNING id) SELECT status, limited_by FROM back, redeem_coupon(5 + 0 * back.id, 'A');
WITH moved AS (UPDATE coupon SET campaign_id = 2 RETURNING id) SELECT status FROM moved, redeem_coupon(5 + 0 * moved.id, 'A', amount => 5);
SELECT id, campaign_id FROM coupon_redemption ORDER BY id;
WITH gone AS (DELETE FROM campaign WHERE id = 2 RETURNING id) SELECT status FROM gone, redeem_coupon(6 + 0 * gone.id, 'A', amount => 5);
SELECT * FROM state;

-- Under SERIALIZABLE: what has been committed since the snapshot is for another try.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT status FROM redeem_coupon(7, 'A', amount => 5);
SELECT status, limited_by FROM redeem_coupon(8, 'A', amount => 5);
COMMIT;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- What is broken is told.
UPDATE coupon SET campaign_id = 1;
SELECT status FROM redeem_coupon(5, 'A');
UPDATE campaign SET max_redemptions = 3, budget = 1000 WHERE id = 1;
SELECT status FROM redeem_coupon(9, 'A', amount => 5);
SELECT * FROM state;
CALL pg_temp.break('INSERT INTO coupon_redemption (coupon_id, user_id, use_no, campaign_id, campaign_use_no) SELECT 1, i, 1, 1, 1 FROM generate_series(11, 13) i');
CALL pg_temp.break('UPDATE coupon_redemption SET amount = 51 WHERE campaign_id = 2');
CALL pg_temp.break('UPDATE campaign SET max_per_user = 1; UPDATE coupon_redemption SET user_id = 3, use_no = id, campaign_use_no = id WHERE campaign_id = 1');
CALL pg_temp.break('ALTER TABLE coupon_redemption DROP CONSTRAINT coupon_redemption_campaign_use_no_positive; UPDATE coupon_redemption SET campaign_use_no = 0 WHERE user_id = ''9''');
CALL pg_temp.break('DELETE FROM campaign WHERE id = 1');
-- A quota follows; so for this it has no triggers, nor hears anybody of that.
SET allow_system_table_mods = on;
CALL pg_temp.break_quota('UPDATE coupon_quota SET remaining = remaining + 1 WHERE owner_id = 1 AND kind = ''C'' AND stripe = 0');
CALL pg_temp.break_quota('UPDATE coupon_quota SET remaining = remaining - 1 WHERE owner_id = 1 AND kind = ''B'' AND stripe = 0');
CALL pg_temp.break_quota('INSERT INTO coupon_quota VALUES (1, ''x'', 0, coupon_guard_generation(), 5), (3, ''C'', 0, coupon_guard_generation(), 5), (3, ''B'', 0, coupon_guard_generation(), 5)');
RESET allow_system_table_mods;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;
DROP VIEW state;
DROP EXTENSION coupon_guard;
