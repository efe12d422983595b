-- A user moves to another shard, which is another database here: with all that is in the ledger, with codes, and with the rights that it uses.
\a \t
\set VERBOSITY terse
CREATE DATABASE coupon_guard_two;
CREATE EXTENSION coupon_guard;
\set ECHO none
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
CREATE VIEW rights AS SELECT kind, name, max, rights, used, under_way FROM coupon_guard_rights ORDER BY kind, name;
CREATE VIEW ledger AS SELECT code, user_id, use_no, hold_expires_at IS NOT NULL AS is_hold, voided_at IS NOT NULL AS is_void, request_id, metadata, amount,
  campaign_use_no AS in_campaign FROM coupon_redemption r LEFT JOIN coupon c ON c.id = r.coupon_id ORDER BY r.id;
\set ECHO all
SELECT coupon_guard_set_shard('one', 1);
INSERT INTO campaign (name, max_redemptions, budget) VALUES ('Spring', 50, 1000);
INSERT INTO coupon (code, max_redemptions, rights, budget, budget_rights, max_per_user) VALUES ('CAP', 100, 60, 900, 500, NULL);
INSERT INTO coupon (code, max_redemptions) VALUES ('ALL', 10);
INSERT INTO coupon (code) VALUES ('ANY');
INSERT INTO coupon (code, campaign_id, terms) SELECT 'SPRING', id, 'null' FROM campaign;
INSERT INTO coupon (code, campaign_id, max_redemptions) SELECT 'CODE1', id, 1 FROM campaign;
ALTER TABLE coupon_redemption ADD COLUMN store numeric(9, 3)[], ADD COLUMN "the till" text;
SELECT status FROM redeem_coupon(7, 'CAP', 30, request_id => 'a', metadata => 'null'), redeem_coupon(8, 'CAP', 20) AS other (other);
SELECT status FROM redeem_coupon(7, 'CAP', 5, metadata => '{"n": 1.10}');
SELECT void_redemption(redemption_id) FROM redeem_coupon(7, 'CAP', 40);
SELECT status FROM hold_coupon(7, 'CAP', '1 hour', 70);
SELECT status FROM hold_coupon(7, 'ALL', '1 microsecond');
SELECT status FROM redeem_coupon(7, 'ANY');
SELECT status FROM redeem_coupon(7, 'SPRING', 10);
SELECT status, code FROM claim_coupon(7, 'Spring');
UPDATE coupon_redemption SET store = '{1.5,NULL}', "the till" = 'x''"y' WHERE request_id = 'a';
CREATE TABLE before AS SELECT * FROM coupon_redemption WHERE user_id = '7';
SELECT * FROM ledger;

-- Not before whoever has moved is refused here.
SELECT release_user('7', t(1), 'two');
SELECT coupon_guard_begin_moves(), coupon_guard_begin_moves();
SELECT release_user('7', t(1), 'one');
SELECT release_user('7', t(1), '');
SELECT release_user(NULL, t(1), 'two');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT release_user('7', t(1), 'two');
ROLLBACK;
-- The rows leave, and of each limit what the live ones use; a limit that had all its rights here is divided from now on.
SELECT release_user('7', t(1), 'two') AS payload \gset
SELECT jsonb_pretty(:'payload'::jsonb->'rights');
SELECT * FROM ledger;
SELECT * FROM rights;
SELECT code, holder FROM coupon WHERE code LIKE 'CODE%' ORDER BY code;
SELECT * FROM coupon_guard_verify();
-- Once for each transfer.
SELECT release_user('7', t(1), 'two') = :'payload'::jsonb;
SELECT release_user('8', t(1), 'two');
SELECT release_user('7', t(1), 'three');
SELECT release_user('7', t(2), 'two');
-- Whoever has left is refused here, however it is tried.
SELECT status FROM redeem_coupon(7, 'ANY');
SELECT status FROM hold_coupon('7'::text, 'CAP');
SELECT status FROM claim_coupon(7, 'Spring');
INSERT INTO coupon (code, holder) VALUES ('HIS', '7');
SELECT status FROM redeem_coupon(8, 'ANY');
SELECT direction, user_id, transfer_no, peer, settled_at IS NULL AS under_way FROM coupon_user_transfer;

-- There: coupons and campaigns that are missing come along, without rights of their own.
\c coupon_guard_two
\set VERBOSITY terse
CREATE EXTENSION coupon_guard;
\set ECHO none
CREATE FUNCTION t(n int) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$ SELECT lpad(n::text, 32, '0')::uuid $$;
CREATE VIEW rights AS SELECT kind, name, max, rights, used, under_way FROM coupon_guard_rights ORDER BY kind, name;
CREATE VIEW ledger AS SELECT code, user_id, use_no, hold_expires_at IS NOT NULL AS is_hold, voided_at IS NOT NULL AS is_void, request_id, metadata, amount,
  campaign_use_no AS in_campaign FROM coupon_redemption r LEFT JOIN coupon c ON c.id = r.coupon_id ORDER BY r.id;
\set ECHO all
SELECT accept_user(:'payload');
SELECT coupon_guard_set_shard('three', 3);
SELECT accept_user(:'payload');
SELECT coupon_guard_set_shard('two', 2);
SELECT accept_user(:'payload');
ALTER TABLE coupon_redemption ADD COLUMN "the till" text, ADD COLUMN more int DEFAULT 5, ADD COLUMN store numeric(9, 3)[];
INSERT INTO coupon (code, max_redemptions) VALUES ('ALL', 10);
SELECT accept_user(:'payload');
DELETE FROM coupon;
SELECT accept_user(:'payload'), accept_user(:'payload');
SELECT accept_user(:'payload'::jsonb || '{"user_id": "8"}');
SELECT accept_user(:'payload'::jsonb || '{"transfer_id": "00000000-0000-0000-0000-000000000009"}');
SELECT accept_user('{}');
SELECT accept_user(NULL);
SELECT * FROM ledger;
SELECT * FROM rights;
SELECT code, holder, terms, terms IS NULL AS has_none FROM coupon WHERE code LIKE 'CODE%' OR code = 'SPRING' ORDER BY code;
SELECT * FROM coupon_guard_verify();
-- The user goes on here, as before.
SELECT status, replayed FROM redeem_coupon(7, 'CAP', 30, request_id => 'a');
SELECT status FROM redeem_coupon(7, 'ANY');
SELECT status, amount FROM redeem_coupon(7, 'CAP', 69);
SELECT status, limited_by FROM redeem_coupon(7, 'CAP', 1);
SELECT status, code, replayed FROM claim_coupon(7, 'Spring');
SELECT void_redemption(id) FROM coupon_redemption WHERE request_id = 'a';
SELECT status FROM redeem_coupon(9, 'CAP', 30);
ALTER TABLE coupon_redemption DROP COLUMN more;
-- And back, with another.
SELECT coupon_guard_begin_moves();
SELECT release_user('7', t(3), 'one') AS payload, release_user('9', t(4), 'one') AS other \gset
SELECT * FROM rights WHERE rights > 0;

\c contrib_regression
\set VERBOSITY terse
SELECT settle_user(t(1)), settle_user(t(1));
SELECT * FROM rights WHERE under_way > 0;
SELECT accept_user(:'payload'), accept_user(:'other');
-- What has not changed there is as it was, in every column.
SELECT count(*) FROM before AS b JOIN coupon_redemption AS r ON to_jsonb(b) = to_jsonb(r);
SELECT b.metadata::text, b.store, b."the till" FROM before AS b JOIN coupon_redemption AS r USING (id, metadata, store, "the till") WHERE b.request_id = 'a';
SELECT * FROM ledger;
SELECT * FROM rights;
SELECT code, holder FROM coupon WHERE holder IS NOT NULL;
SELECT * FROM coupon_guard_verify();
SELECT status, code, replayed FROM claim_coupon(7, 'Spring');
SELECT direction, user_id, transfer_no, peer, settled_at IS NULL AS under_way FROM coupon_user_transfer ORDER BY transfer_no, user_id;
SELECT settle_user(t(3));
-- A code without a cap, and one that others have used, are still only the user's where they were.
INSERT INTO coupon (code, max_redemptions, max_per_user, holder) VALUES ('SHARED', 5, 2, NULL), ('MINE', NULL, 2, '8');
SELECT status FROM redeem_coupon(10, 'SHARED');
UPDATE coupon SET holder = '8' WHERE code = 'SHARED';
SELECT status FROM redeem_coupon(8, 'SHARED'), redeem_coupon(8, 'MINE') AS mine (mine);
SELECT release_user('8', t(5), 'two')->'held' <> '[]';
SELECT code, rights, holder FROM coupon WHERE code IN ('SHARED', 'MINE') ORDER BY code;
-- A door is closed for all of a partition, but for who has come from elsewhere; it is opened for all.
SELECT coupon_guard_close_partition(0, 3), coupon_guard_close_partition(4, 4);
SELECT coupon_guard_close_partition(4, 4);
SELECT coupon_guard_close_partition(hashtext('11') & 15, 16), coupon_guard_close_partition(hashtext('7') & 255, 256);
SELECT status FROM redeem_coupon(11, 'ANY');
SELECT status FROM hold_coupon(11, 'ANY');
SELECT status, amount FROM redeem_coupon(7, 'CAP', 5);
SELECT coupon_guard_close_partition(0, 1, false);
SELECT status FROM redeem_coupon(11, 'ANY');
-- Without the triggers nobody moves, and nobody is refused.
SELECT coupon_guard_end_moves(), coupon_guard_end_moves();
SELECT release_user('9', t(6), 'two');
SELECT status FROM redeem_coupon(8, 'ANY');

DROP DATABASE coupon_guard_two;
DROP VIEW rights, ledger;
DROP FUNCTION t;
DROP TABLE before;
TRUNCATE coupon_redemption, coupon, campaign, coupon_transfer, coupon_user_transfer, coupon_shard;
DROP EXTENSION coupon_guard;
