-- Holds under a campaign's limits, and retries.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
CREATE VIEW rows AS SELECT id, coupon_id AS coupon, user_id AS "user", use_no, campaign_id AS campaign, campaign_use_no AS no, amount,
  CASE WHEN voided_at IS NOT NULL THEN 'void: ' || coalesce(void_reason, '') WHEN hold_expires_at IS NOT NULL THEN 'held' ELSE 'redeemed' END AS how FROM coupon_redemption ORDER BY id;
CREATE VIEW quota AS SELECT kind, owner_id, sum(remaining) FROM coupon_quota GROUP BY 1, 2 ORDER BY 1, 2;
CREATE PROCEDURE pg_temp.expire(of_user text) LANGUAGE sql AS $$ UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE user_id = of_user AND hold_expires_at IS NOT NULL AND voided_at IS NULL $$;

-- A hold has of coupon and campaign what a redemption has. Confirmed for less, it gives the rest back to both budgets.
INSERT INTO campaign (name, max_redemptions, max_per_user, budget) VALUES ('all limits', 3, 2, 1000);
INSERT INTO coupon (code, max_redemptions, budget, max_per_user, campaign_id) VALUES ('A', 2, 500, 1, 1), ('B', NULL, NULL, NULL, 1);
SELECT status, amount FROM hold_coupon(1, 'A', '1 hour', amount => 400);
SELECT * FROM quota;
SELECT code, status, remaining_uses, remaining_units, remaining_budget FROM unnest('{A,B}'::text[]) AS c (code), check_coupon(1, code);
SELECT status, amount FROM confirm_hold(1, 300);
SELECT * FROM quota;
SELECT status, amount FROM hold_coupon(1, 'B', '1 hour', amount => 700);
SELECT status, amount, limited_by FROM hold_coupon(2, 'B', '1 hour', amount => 1);
SELECT status, limited_by FROM redeem_coupon(1, 'A', amount => 1);
SELECT status, amount FROM redeem_coupon(1, 'B', amount => 600);
SELECT * FROM quota;
SELECT * FROM rows;
SELECT campaign_id, redeemed, held, remaining_units, redeemed_amount, held_amount, remaining_budget FROM campaign_usage;
-- A live hold counts for the limit per user, on whichever coupon it is; released, it does not.
SELECT status FROM hold_coupon(2, 'A', '1 hour', amount => 10), LATERAL void_redemption(redemption_id) AS released;
SELECT status FROM hold_coupon(2, 'A', '1 hour', amount => 10);
UPDATE campaign SET max_per_user = 1, max_redemptions = 4;
SELECT status, redemption_id, limited_by FROM redeem_coupon(2, 'B', amount => 1);
SELECT status FROM redeem_coupon(2, 'A', amount => 10);
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- A user's hold whose deadline has passed makes room on another coupon of the campaign.
INSERT INTO campaign (name, max_per_user) VALUES ('one each', 1);
INSERT INTO coupon (code, max_redemptions, campaign_id) VALUES ('A', 5, 1), ('B', 5, 1);
SELECT status FROM hold_coupon(1, 'A');
SELECT status, limited_by FROM redeem_coupon(1, 'B');
CALL pg_temp.expire('1');
SELECT status, remaining_uses FROM check_coupon(1, 'B');
SELECT status FROM redeem_coupon(1, 'B');
SELECT * FROM rows;
SELECT * FROM quota;
SELECT status FROM confirm_hold(1);
SELECT status, limited_by FROM redeem_coupon(1, 'A');
-- Where there is room without, it is left alone: it may be confirmed by a call for its own coupon.
UPDATE campaign SET max_per_user = 2;
SELECT status FROM hold_coupon(1, 'A');
CALL pg_temp.expire('1');
SELECT status, redemption_id FROM redeem_coupon(1, 'A');
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- Sold out, the campaign takes a unit over from anybody's hold whose deadline has passed: the hold's own coupon gets its unit back, and
-- its budget the amount; likewise for the coupon's sake.
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('two', 2, 100);
INSERT INTO coupon (code, max_redemptions, budget, campaign_id) VALUES ('A', 2, 80, 1), ('B', 1, NULL, 1);
SELECT u, status FROM generate_series(1, 2) u, hold_coupon(u, 'A', '1 hour', amount => 40);
SELECT status, limited_by FROM redeem_coupon(3, 'B', amount => 5);
CALL pg_temp.expire('1');
SELECT status, remaining_units, remaining_budget FROM check_coupon(3, 'B');
SELECT * FROM quota;
SELECT status FROM redeem_coupon(3, 'B', amount => 5);
SELECT * FROM rows;
SELECT * FROM quota;
CALL pg_temp.expire('2');
SELECT status, limited_by FROM redeem_coupon(4, 'B', amount => 5);
SELECT status FROM redeem_coupon(4, 'A', amount => 80);
SELECT * FROM rows;
SELECT * FROM quota;
SELECT * FROM coupon_guard_verify();
-- An amount that the campaign's budget has only with an expired hold
UPDATE campaign SET max_redemptions = NULL, budget = 100;
UPDATE coupon SET max_redemptions = NULL;
SELECT void_redemption(id) FROM coupon_redemption WHERE voided_at IS NULL;
SELECT status FROM hold_coupon(5, 'A', '1 hour', amount => 70);
SELECT status, amount, limited_by FROM redeem_coupon(6, 'B', amount => 60);
CALL pg_temp.expire('5');
SELECT status, amount, limited_by FROM redeem_coupon(6, 'B', amount => 60);
SELECT * FROM quota;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- Retries: what was done is answered, whatever has become of the campaign, and wherever the coupon is by now.
INSERT INTO campaign (name, max_redemptions, max_per_user, terms) VALUES ('first', 1, 1, '{"of": "first"}'), ('second', 1, 1, '{"of": "second"}');
INSERT INTO coupon (code, campaign_id) VALUES ('A', 1), ('B', 1);
SELECT status, redemption_id, terms, replayed FROM redeem_coupon(1, 'A', 'r1');
SELECT status, redemption_id, terms, replayed FROM redeem_coupon(1, 'A', 'r1');
SELECT status, limited_by, replayed FROM redeem_coupon(1, 'B', 'r2');
UPDATE coupon SET campaign_id = 2 WHERE code = 'A';
UPDATE campaign SET active = false;
SELECT status, redemption_id, terms, limited_by, replayed FROM redeem_coupon(1, 'A', 'r1');
SELECT status, limited_by FROM redeem_coupon(1, 'A', 'r3');
SELECT void_redemption(1);
SELECT status, redemption_id, limited_by, replayed FROM redeem_coupon(1, 'A', 'r1');
UPDATE campaign SET active = true;
-- A refusal is judged anew; a hold that was placed in one campaign is confirmed there.
SELECT status, terms, limited_by, replayed FROM hold_coupon(1, 'B', '1 hour', 'r2');
UPDATE coupon SET campaign_id = 2 WHERE code = 'B';
SELECT status, terms, replayed FROM hold_coupon(1, 'B', '1 hour', 'r2');
SELECT status, terms FROM redeem_coupon(1, 'B', 'r2');
SELECT status, use_no, limited_by FROM redeem_coupon(1, 'A', 'r4');
SELECT * FROM rows;
SELECT * FROM quota;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;
DROP VIEW rows, quota;
DROP EXTENSION coupon_guard;
