-- Campaigns: limits over many coupons. What a call answers, and which of the two limits it was.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
CREATE VIEW how_it_goes AS SELECT name, coupons, claimed, redeemed, held, voided, remaining_units, redeemed_amount, held_amount, remaining_budget FROM campaign_usage ORDER BY campaign_id;
CREATE VIEW quota AS SELECT kind, owner_id, sum(remaining) FROM coupon_quota GROUP BY 1, 2 ORDER BY 1, 2;

-- A campaign is called by its name as a coupon is by its code.
INSERT INTO campaign (name) VALUES (' Frühling ');
INSERT INTO campaign (name) VALUES ('FRÜHLING');
INSERT INTO campaign (name) VALUES ('  ');
INSERT INTO campaign (name, max_redemptions) VALUES ('none', 0);
INSERT INTO campaign (name, max_per_user) VALUES ('none', 0);
INSERT INTO campaign (name, budget) VALUES ('none', 0);
INSERT INTO campaign (name, starts_at, expires_at) VALUES ('none', '2001-01-01', '2001-01-01');
INSERT INTO coupon (code, campaign_id) VALUES ('LOST', 99);
SELECT name, name_key, active, max_redemptions, max_per_user, budget FROM campaign;

-- Without limits it only says what its codes are worth, and numbers what a user redeems of them.
UPDATE campaign SET terms = '{"percent": 10}';
INSERT INTO coupon (code, campaign_id, terms) VALUES ('A', 1, NULL), ('B', 1, '{"percent": 50}');
SELECT code, status, terms, use_no, limited_by FROM unnest('{A,B}'::text[]) code, redeem_coupon(1, code);
SELECT coupon_id, use_no, campaign_id, campaign_use_no FROM coupon_redemption ORDER BY id;
SELECT status, limited_by FROM redeem_coupon(1, 'A');
SELECT status, limited_by FROM redeem_coupon(1, 'NOSUCH');
SELECT * FROM how_it_goes;
SELECT * FROM quota;
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- Window. What says no first is the coupon's own; check_coupon answers alike.
INSERT INTO campaign (name, active, starts_at, expires_at) VALUES
  ('open', true, '2001-01-01', '2101-01-01'), ('off', false, NULL, NULL), ('early', true, '2101-01-01', NULL), ('late', true, NULL, '2001-01-01');
INSERT INTO coupon (code, campaign_id) SELECT name, id FROM campaign;
INSERT INTO coupon (code, campaign_id, active, starts_at, holder) VALUES ('off too', 2, false, NULL, NULL), ('early too', 4, true, '2101-01-01', NULL), ('other', 2, true, NULL, '2');
SELECT code, r.status, r.limited_by, h.status = replace(r.status::text, 'redeemed', 'already_redeemed')::coupon_status AS holds, h.limited_by, k.status = r.status AS checks, k.limited_by
  FROM coupon, check_coupon(1, code) k, LATERAL (SELECT * FROM redeem_coupon(1, code) WHERE k.status IS NOT NULL) r, LATERAL (SELECT * FROM hold_coupon(1, code) WHERE r.status IS NOT NULL) h ORDER BY id;
\set VERBOSITY default
SELECT redeem_coupon_strict(1, 'off');
SELECT redeem_coupon_strict(1, 'early');
SELECT redeem_coupon_strict(1, 'late');
\set VERBOSITY terse
-- A hold outlasts its campaign.
SELECT status FROM hold_coupon(2, 'open');
UPDATE campaign SET active = false WHERE name = 'open';
SELECT status, limited_by FROM redeem_coupon(3, 'open');
SELECT status FROM check_coupon(2, 'open');
SELECT status, limited_by FROM redeem_coupon(2, 'open');
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- A cap over all coupons; and the coupons' own.
INSERT INTO campaign (name, max_redemptions) VALUES ('five', 5);
INSERT INTO coupon (code, max_redemptions, max_per_user, campaign_id) VALUES ('TWO', 2, 1, 1), ('ANY', NULL, NULL, 1);
SELECT u, status, limited_by FROM generate_series(1, 3) u, redeem_coupon(u, 'TWO');
SELECT u, status, limited_by FROM generate_series(1, 4) u, redeem_coupon(u, 'ANY');
SELECT status, remaining_units, limited_by FROM check_coupon(9, 'ANY');
SELECT status, remaining_units, limited_by FROM check_coupon(9, 'TWO');
SELECT status, limited_by FROM redeem_coupon(9, 'TWO');
\set VERBOSITY default
SELECT redeem_coupon_strict(9, 'ANY');
\set VERBOSITY terse
SELECT * FROM how_it_goes;
-- What is given back is there for any of them.
SELECT void_redemption(redemption_id) FROM (SELECT min(id) AS redemption_id FROM coupon_redemption) l;
SELECT * FROM quota;
SELECT status FROM redeem_coupon(1, 'ANY');
SELECT status, limited_by FROM redeem_coupon(4, 'TWO');
-- Rolled back is not redeemed.
BEGIN;
SELECT void_redemption(max(id)) FROM coupon_redemption;
SAVEPOINT s;
SELECT status FROM redeem_coupon(5, 'TWO');
ROLLBACK TO s;
SELECT status FROM redeem_coupon(6, 'TWO');
ROLLBACK;
SELECT * FROM quota;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- A limit per user, whichever coupons it are; the latest redemption is named, of which coupon it may be.
INSERT INTO campaign (name, max_per_user) VALUES ('two each', 2);
INSERT INTO coupon (code, max_per_user, campaign_id) VALUES ('A', 1, 1), ('B', 2, 1), ('C', NULL, 1);
SELECT code, status, use_no, limited_by FROM unnest('{A,A,B,B,C}'::text[]) WITH ORDINALITY AS c (code, no), redeem_coupon(1, code) ORDER BY no;
SELECT code, status, remaining_uses, limited_by FROM unnest('{A,B,C}'::text[]) AS c (code), check_coupon(1, code);
SELECT status, redemption_id, coupon_id, use_no FROM redeem_coupon(1, 'C');
SELECT code, status, remaining_uses, limited_by FROM unnest('{A,B,C}'::text[]) AS c (code), check_coupon(2, code);
\set VERBOSITY default
SELECT redeem_coupon_strict(1, 'C');
SELECT redeem_coupon_strict(1, 'A');
\set VERBOSITY terse
-- The number that a void leaves is used again.
SELECT void_redemption(1);
SELECT status, use_no FROM redeem_coupon(1, 'C');
SELECT coupon_id, use_no, campaign_use_no, voided_at IS NOT NULL FROM coupon_redemption ORDER BY id;
-- All or none
SELECT code, status FROM redeem_coupons(2, '{A,B,C}');
SELECT code, status FROM redeem_coupons(2, '{A,B}');
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- A budget, over coupons with one of their own and without
INSERT INTO campaign (name, budget) VALUES ('thousand', 1000);
INSERT INTO coupon (code, budget, max_per_user, campaign_id) VALUES ('OWN', 300, NULL, 1), ('NONE', NULL, NULL, 1);
SELECT redeem_coupon(1, 'NONE');
SELECT redeem_coupons(1, '{NONE}');
SELECT hold_coupon(1, 'NONE');
SELECT status, amount, limited_by FROM redeem_coupon(1, 'OWN', amount => 400);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'OWN', amount => 400, up_to => true);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'OWN', amount => 1);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'NONE', amount => 701);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'NONE', amount => 500);
UPDATE coupon SET budget = 1000 WHERE code = 'OWN';
SELECT code, status, remaining_budget, limited_by FROM unnest('{OWN,NONE}'::text[]) AS c (code), check_coupon(1, code);
-- Both: with up_to what both have
SELECT status, amount, limited_by FROM redeem_coupon(1, 'OWN', amount => 800);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'OWN', amount => 150);
\set VERBOSITY default
SELECT redeem_coupon_strict(1, 'NONE', amount => 51);
\set VERBOSITY terse
SELECT status, amount, limited_by FROM redeem_coupon(1, 'OWN', amount => 800, up_to => true);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'NONE', amount => 800, up_to => true);
\set VERBOSITY default
SELECT redeem_coupon_strict(1, 'NONE', amount => 51);
\set VERBOSITY terse
SELECT * FROM quota;
-- Given back, in part and whole: to both
SELECT id, coupon_id, amount FROM coupon_redemption ORDER BY id;
SELECT void_redemption(3, amount => 100), void_redemption(4), void_redemption(2, amount => 500);
SELECT * FROM quota;
SELECT * FROM how_it_goes;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- All or none of several campaigns: the one that refuses is named, and what the others have is as before.
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('spring', 5, 100), ('autumn', 5, 50);
INSERT INTO coupon (code, max_per_user, campaign_id) VALUES ('S1', NULL, 1), ('A1', NULL, 2), ('S2', NULL, 1), ('OUT', NULL, NULL);
SELECT code, status, amount, limited_by FROM redeem_coupons(1, '{S1,A1,S2,OUT}', amounts => '{60,51,40,7}');
SELECT code, status, amount, limited_by FROM redeem_coupons(1, '{S1,A1,S2,OUT}', amounts => '{60,50,41,7}');
SELECT * FROM how_it_goes;
SELECT code, status, amount, limited_by FROM redeem_coupons(1, '{S1,A1,S2,OUT}', amounts => '{60,51,41,7}', up_to => true);
SELECT * FROM how_it_goes;
SELECT coupon_id, campaign_id, campaign_use_no, amount FROM coupon_redemption ORDER BY coupon_id;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;

-- Where both have nothing left, redeem_coupon and check_coupon name the same: the campaign, whose units are claimed first.
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('one', 1, 100);
INSERT INTO coupon (code, max_redemptions, max_per_user, budget, campaign_id) VALUES ('ONE', 1, NULL, 100, 1);
SELECT status FROM redeem_coupon(1, 'ONE', amount => 100);
SELECT status, limited_by FROM redeem_coupon(2, 'ONE', amount => 1);
SELECT status, limited_by FROM check_coupon(2, 'ONE');
TRUNCATE coupon_redemption, coupon, campaign RESTART IDENTITY;
DROP VIEW how_it_goes, quota;
DROP EXTENSION coupon_guard;
