-- Rights: what of a limit a shard may give, and units that leave it and come to it.
\a \t
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('Spring', 50, 1000);
INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', 100), ('ONE', 1);
INSERT INTO coupon (code, budget, max_per_user) VALUES ('GIFT', 5000, NULL);
INSERT INTO coupon (code) VALUES ('ANY');
INSERT INTO coupon (code, campaign_id, max_per_user) SELECT 'SPRING', id, NULL FROM campaign;
CREATE VIEW rights AS SELECT kind, name, max, rights, used, remaining, under_way FROM coupon_guard_rights ORDER BY kind, owner_id;
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;

-- A server that is no shard has all rights, and parts with none.
SELECT release_units('CAP', 10, t(1), 'two');
SELECT accept_units('CAP', 10, t(1), 'two');
SELECT coupon_guard_units('CAP') IS NULL;
SELECT settle_transfer(t(1));
SELECT coupon_guard_set_shard('one', NULL), coupon_guard_set_shard(NULL, 1);
SELECT coupon_guard_set_shard('', 1);
SELECT coupon_guard_set_shard('one', 8192);
SELECT coupon_guard_set_shard('eins', 1), coupon_guard_set_shard('one', 2);
SELECT number, name FROM coupon_shard;
INSERT INTO coupon_shard (name, number) VALUES ('three', 3);
SELECT id >> 40 AS shard, id & (1::bigint << 40) - 1 AS id FROM (SELECT nextval('coupon_redemption_id_seq') AS id) AS next;

-- Units leave once, however often they are asked for by the same id.
SELECT release_units('CAP', 10, t(1), 'two'), release_units(' cap ', 10, t(1), 'two'), release_units('CAP', 99, t(1), 'two');
SELECT release_units('CAP', 10, t(1), 'three');
SELECT release_units('ONE', 1, t(1), 'two');
SELECT accept_units('CAP', 10, t(1), 'two');
SELECT * FROM rights WHERE name = 'CAP';
SELECT settle_transfer(t(1)), settle_transfer(t(1));
SELECT * FROM rights WHERE name = 'CAP';
SELECT shard, granted, used, remaining, is_dry, transfers, under_way FROM coupon_guard_units('cap');
-- A cap holds for what is left here; that others may have more is said.
SELECT release_units('CAP', 87, t(2), 'two');
SELECT count(*) FROM generate_series(1, 3) AS u, redeem_coupon(u, 'CAP') WHERE status = 'redeemed';
SELECT status, limited_by FROM redeem_coupon(4, 'CAP');
SELECT status, remaining_units, limited_by FROM check_coupon(4, 'CAP');
SELECT redeem_coupon_strict(4, 'CAP');
SELECT release_units('CAP', 1, t(3), 'two');
SELECT remaining, is_dry FROM coupon_guard_units('CAP');
-- Units come once.
SELECT accept_units('CAP', 5, t(3), 'two'), accept_units('CAP', 5, t(3), 'two');
SELECT accept_units('CAP', 6, t(3), 'two');
SELECT accept_units('CAP', 5, t(3), 'three');
SELECT release_units('CAP', 5, t(3), 'two');
SELECT settle_transfer(t(3));
SELECT status, limited_by FROM redeem_coupon(4, 'CAP');
-- What is given back can leave, too; all that is left leaves, if so much is asked for.
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '1';
SELECT release_units('CAP', 1000, t(4), 'two');
SELECT status, limited_by FROM redeem_coupon(1, 'CAP');
-- An expired hold's unit, likewise.
SELECT accept_units('CAP', 1, t(5), 'two');
SELECT status FROM hold_coupon(6, 'CAP', '1 microsecond');
SELECT remaining, is_dry FROM coupon_guard_units('CAP');
SELECT release_units('CAP', 7, t(6), 'two');
SELECT * FROM rights WHERE name = 'CAP';
SELECT * FROM coupon_guard_verify();

-- Rolled back, nothing has moved.
BEGIN;
SELECT accept_units('CAP', 9, t(7), 'two');
SAVEPOINT a;
SELECT release_units('CAP', 4, t(8), 'two');
SELECT status FROM redeem_coupon(7, 'CAP');
ROLLBACK TO a;
SELECT rights, remaining FROM rights WHERE name = 'CAP';
ROLLBACK;
SELECT rights, remaining FROM rights WHERE name = 'CAP';
SELECT count(*) FROM coupon_transfer WHERE transfer_id IN (t(7), t(8));

-- Units that this transaction has taken ahead are there to leave.
SELECT accept_units('CAP', 9, t(9), 'two');
BEGIN;
SELECT count(*) FROM generate_series(11, 15) AS u, redeem_coupon(u, 'CAP') WHERE status = 'redeemed';
SELECT release_units('CAP', 3, t(10), 'two');
COMMIT;
SELECT rights, used, remaining FROM rights WHERE name = 'CAP';
SELECT remaining FROM coupon_guard_units('CAP');
SELECT * FROM coupon_guard_verify();

-- Budgets; the budget and the cap of a campaign.
SELECT release_units('GIFT', 2000, t(20), 'two', 'b');
SELECT status, amount, limited_by FROM redeem_coupon(1, 'GIFT', amount => 4000);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'GIFT', amount => 4000, up_to => true);
SELECT status, amount, limited_by FROM redeem_coupon(1, 'GIFT', amount => 1);
SELECT accept_units('GIFT', 500, t(21), 'two', 'b');
SELECT status, amount, limited_by FROM redeem_coupon(1, 'GIFT', amount => 500);
SELECT release_units('spring', 49, t(22), 'two', 'C'), release_units('Spring', 1, t(23), 'two', 'B');
SELECT status, limited_by FROM redeem_coupon(1, 'SPRING', amount => 1000);
SELECT status, limited_by FROM redeem_coupon(1, 'SPRING', amount => 999);
SELECT status, limited_by FROM redeem_coupon(2, 'SPRING', amount => 1);
SELECT kind, granted, remaining, is_dry FROM unnest('{C,B}'::"char"[]) AS kind, coupon_guard_units('SPRING ', kind);
SELECT * FROM rights;
SELECT code, remaining_units, remaining_budget FROM coupon_usage ORDER BY coupon_id;
SELECT name, remaining_units, remaining_budget FROM campaign_usage;

-- Rights are changed by hand as limits are: not below what is used, and what others may have meanwhile is not touched.
UPDATE coupon SET rights = 7 WHERE code = 'CAP';
UPDATE coupon SET rights = -1 WHERE code = 'CAP';
UPDATE coupon SET rights = 9, max_redemptions = 101 WHERE code = 'CAP';
UPDATE coupon SET budget_rights = 0 WHERE code = 'GIFT';
UPDATE campaign SET rights = 0;
SELECT remaining, is_dry FROM coupon_guard_units('CAP');
UPDATE coupon SET max_redemptions = NULL WHERE code = 'CAP';
SELECT status, limited_by FROM redeem_coupon(30, 'CAP');
SELECT release_units('CAP', 1, t(30), 'two');
UPDATE coupon SET max_redemptions = 101, rights = 10 WHERE code = 'CAP';
SELECT status, limited_by FROM redeem_coupon(31, 'CAP');
SELECT * FROM coupon_guard_verify();

-- Nothing moves of what there is not, nor of what is not divided.
SELECT release_units('NONE', 1, t(40), 'two');
SELECT release_units('NONE', 1, t(40), 'two', 'C');
SELECT release_units('ANY', 1, t(40), 'two');
SELECT release_units('CAP', 1, t(40), 'two', 'b');
SELECT accept_units('ONE', 1, t(40), 'two');
SELECT coupon_guard_units('NONE') IS NULL, coupon_guard_units('ANY') IS NULL, coupon_guard_units('CAP', 'b') IS NULL;
SELECT release_units('CAP', 0, t(40), 'two');
SELECT release_units('CAP', 1, t(40), 'one');
SELECT release_units('CAP', 1, t(40), '');
SELECT release_units('CAP', 1, t(40), repeat('x', 64));
SELECT release_units('CAP', 1, t(40), 'two', 'x');
SELECT release_units(NULL, 1, t(40), 'two');
SELECT release_units('CAP', NULL, t(40), 'two');
SELECT release_units('CAP', 1, NULL, 'two');
SELECT release_units('CAP', 1, t(40), NULL);
SELECT release_units('CAP', 1, t(40), 'two', NULL);
SELECT accept_units('GIFT', 9223372036854775807, t(40), 'two', 'b');
SELECT settle_transfer(NULL);
-- What has a holder stays where the holder is; and a code whose unit is with another shard is nobody's to claim here.
INSERT INTO coupon (code, campaign_id, max_redemptions, holder) SELECT 'MINE', id, 1, '1' FROM campaign;
INSERT INTO coupon (code, campaign_id, max_redemptions, rights) SELECT v.code, id, 1, v.rights FROM campaign, (VALUES ('GONE', 0), ('HERE', 1)) AS v (code, rights);
UPDATE campaign SET rights = NULL, budget_rights = NULL;
SELECT release_units('MINE', 1, t(41), 'two'), remaining, is_dry FROM coupon_guard_units('MINE');
SELECT status, code FROM claim_coupon(2, 'Spring');
SELECT status, code FROM claim_coupon(3, 'Spring');

-- Who has been a shard under one name cannot be another.
SELECT coupon_guard_set_shard('two', 2);
SELECT coupon_guard_set_shard('one', 2);
SELECT coupon_guard_set_shard('one', 1);
-- Rights that triggers do not follow do not move.
ALTER TABLE coupon DISABLE TRIGGER coupon_follow_change;
SELECT release_units('CAP', 1, t(50), 'two');
SELECT accept_units('CAP', 1, t(50), 'two');
ALTER TABLE coupon ENABLE ALWAYS TRIGGER coupon_follow_change;
SELECT release_units('CAP', 1, t(50), 'two');
-- Nor while coupon_transfer is another table than it was.
ALTER TABLE coupon_transfer DROP CONSTRAINT coupon_transfer_pkey;
SELECT release_units('CAP', 1, t(51), 'two');
SELECT status FROM redeem_coupon(40, 'CAP');
ALTER TABLE coupon_transfer ADD PRIMARY KEY (transfer_id);
SELECT accept_units('CAP', 1, t(51), 'two');
SELECT status FROM redeem_coupon(40, 'CAP');
-- Not while the row itself is being changed; after that, yes.
CREATE FUNCTION part() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM accept_units(NEW.code, 1, t(52), 'two'); RETURN NEW; END $$;
CREATE TRIGGER part BEFORE UPDATE OF active ON coupon FOR EACH ROW EXECUTE FUNCTION part();
UPDATE coupon SET active = true WHERE code = 'CAP';
DROP TRIGGER part ON coupon;
CREATE TRIGGER part AFTER UPDATE OF active ON coupon FOR EACH ROW EXECUTE FUNCTION part();
UPDATE coupon SET active = true WHERE code = 'CAP';
DROP TRIGGER part ON coupon;
SELECT * FROM coupon_guard_verify();
SELECT * FROM rights WHERE name = 'CAP';

DROP VIEW rights;
DROP FUNCTION t, part;
TRUNCATE coupon_redemption, coupon, campaign, coupon_transfer, coupon_shard;
DROP EXTENSION coupon_guard;
