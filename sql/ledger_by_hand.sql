-- Imports, restores and clean-ups write the ledger by plain SQL: the quota follows, and a sold-out coupon refuses (RC006).
\a \t
CREATE EXTENSION coupon_guard;
SET coupon_guard.quota_stripes = 2;
INSERT INTO coupon (id, code, max_redemptions, max_per_user) VALUES (1, 'FIVE', 5, NULL), (2, 'FREE', NULL, 1), (3, 'ONE', 1, 1), (4, 'TWO', 2, 1);
-- Of each coupon: code, redeemed, held, voided, remaining units, those in the quota
CREATE VIEW state AS
SELECT string_agg(format('%s %s %s %s %s %s', code, redeemed, held, voided, coalesce(remaining_units::text, '-'),
         coalesce((SELECT sum(q.remaining) FROM coupon_quota q WHERE q.owner_id = u.coupon_id)::text, '-')), ', ' ORDER BY code) FROM coupon_usage u;

INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 1, 'u' || i, 1 FROM generate_series(1, 3) i;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, voided_at) VALUES (1, 'u4', 1, now());
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (2, 'u1', 1);
SELECT * FROM state;
COPY coupon_redemption (coupon_id, user_id, use_no, hold_expires_at, voided_at) FROM STDIN;
1	u5	1	2101-01-01	\N
1	u6	1	2101-01-01	2001-01-01
4	u6	1	\N	\N
\.
SELECT * FROM state;
SELECT status FROM redeem_coupon('u7'::text, 'FIVE');
SELECT status FROM redeem_coupon('u8'::text, 'FIVE');
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'u9', 1);
\echo :LAST_ERROR_SQLSTATE
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 4, 'v' || i, 1 FROM generate_series(1, 2) i;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- Voided, revived, moved, changed otherwise
UPDATE coupon_redemption SET voided_at = now() WHERE user_id = 'u1';
SELECT * FROM state;
UPDATE coupon_redemption SET voided_at = NULL WHERE user_id = 'u1' AND coupon_id = 1;
UPDATE coupon_redemption SET voided_at = NULL WHERE user_id = 'u6' AND coupon_id = 1;
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon_redemption SET coupon_id = 4 WHERE user_id = 'u2';
SELECT * FROM state;
UPDATE coupon_redemption SET coupon_id = 1 WHERE coupon_id = 4 AND user_id = 'u2';
UPDATE coupon_redemption SET coupon_id = 1 WHERE coupon_id = 4;
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon_redemption SET metadata = '{}', redeemed_at = now(), user_id = upper(user_id);
UPDATE coupon_redemption SET hold_expires_at = NULL WHERE hold_expires_at IS NOT NULL;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();
-- Deleted
DELETE FROM coupon_redemption WHERE user_id IN ('U3', 'U4');
SELECT * FROM state;
SELECT r.status, count(*) FROM generate_series(1, 3) i, LATERAL redeem_coupon(i, 'FIVE') r GROUP BY 1 ORDER BY 1;
MERGE INTO coupon_redemption l USING (VALUES ('1')) AS gone (user_id) ON l.user_id = gone.user_id WHEN MATCHED THEN DELETE;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'U5', 1) ON CONFLICT (coupon_id, user_id, use_no) WHERE voided_at IS NULL DO NOTHING;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'U5', 1) ON CONFLICT (coupon_id, user_id, use_no) WHERE voided_at IS NULL DO UPDATE SET voided_at = now();
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- Rolled back, and together with redemptions of the same transaction
BEGIN;
SAVEPOINT s;
DELETE FROM coupon_redemption WHERE coupon_id = 1;
SELECT status FROM redeem_coupon(11, 'FIVE');
ROLLBACK TO s;
SELECT r.status, count(*) FROM generate_series(11, 13) i, LATERAL redeem_coupon(i, 'FIVE') r GROUP BY 1 ORDER BY 1;
DELETE FROM coupon_redemption WHERE user_id = '11';
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (1, 'u21', 1);
COMMIT;
SELECT * FROM state;
SELECT * FROM coupon_guard_verify();

-- A single-use code that has no quota yet
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (3, 'u1', 1);
SELECT count(*) FROM coupon_quota WHERE owner_id = 3;
SELECT status FROM redeem_coupon(2, 'ONE');
DELETE FROM coupon_redemption WHERE coupon_id = 3;
SELECT status FROM redeem_coupon(2, 'ONE');
SELECT * FROM coupon_guard_verify();

-- Emptied: as if nothing had been redeemed
TRUNCATE coupon_redemption;
SELECT * FROM state;
SELECT r.status, count(*) FROM generate_series(1, 6) i, LATERAL redeem_coupon(i, 'FIVE') r GROUP BY 1 ORDER BY 1;
SELECT status FROM redeem_coupon(1, 'ONE');
BEGIN;
TRUNCATE coupon_redemption;
SELECT status FROM redeem_coupon(7, 'FIVE');
ROLLBACK;
SELECT status FROM redeem_coupon(7, 'FIVE');
SELECT * FROM coupon_guard_verify();

-- A coupon and its redemptions in one transaction, as a restore loads them; in either order
BEGIN;
INSERT INTO coupon (id, code, max_redemptions) VALUES (11, 'LOADED', 3);
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 11, 'u' || i, 1 FROM generate_series(1, 2) i;
COMMIT;
BEGIN;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 12, 'u' || i, 1 FROM generate_series(1, 2) i;
INSERT INTO coupon (id, code, max_redemptions) VALUES (12, 'LEDGER FIRST', 3);
COMMIT;
SELECT c.code, r.status, count(*) FROM coupon c, generate_series(1, 2) i, LATERAL redeem_coupon(i, c.code) r WHERE c.id > 10 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM coupon_guard_verify();

-- A coupon that comes with more redemptions than its cap allows: nothing is sold until as many have been given back.
BEGIN;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT 13, 'u' || i, 1 FROM generate_series(1, 4) i;
INSERT INTO coupon (id, code, max_redemptions) VALUES (13, 'BEYOND', 2);
COMMIT;
CREATE VIEW beyond AS SELECT status, remaining_units FROM check_coupon('nobody', 'BEYOND');
SELECT status FROM redeem_coupon('new', 'BEYOND');
SELECT bool_and(void_redemption(id)), count(*) FROM coupon_redemption WHERE coupon_id = 13 AND user_id = 'u1';
SELECT * FROM beyond;
SELECT status FROM redeem_coupon('new', 'BEYOND');
UPDATE coupon_redemption SET voided_at = now() WHERE coupon_id = 13 AND user_id = 'u2';
SELECT * FROM beyond;
SELECT status FROM redeem_coupon('new', 'BEYOND');
SELECT * FROM coupon_guard_verify();
DELETE FROM coupon_redemption WHERE coupon_id = 13 AND user_id = 'u3';
SELECT * FROM beyond;
SELECT status FROM redeem_coupon('new', 'BEYOND');
SELECT status FROM redeem_coupon('late', 'BEYOND');
SELECT * FROM coupon_guard_verify();
-- The same after facts from elsewhere; then expired holds are no units either, until the cap is kept without them.
SET session_replication_role = replica;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at) SELECT 13, 'v' || i, 1, '2001-01-01' FROM generate_series(1, 2) i;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) VALUES (13, 'v3', 1);
RESET session_replication_role;
SELECT * FROM beyond;
SELECT status FROM redeem_coupon('late', 'BEYOND');
SELECT user_id, void_reason FROM coupon_redemption WHERE coupon_id = 13 AND user_id ~ '^v' ORDER BY 1;
SELECT void_redemption(id) FROM coupon_redemption WHERE coupon_id = 13 AND user_id = 'v3';
SELECT status FROM redeem_coupon('late', 'BEYOND');
UPDATE coupon SET max_redemptions = 3 WHERE id = 13;
SELECT * FROM beyond;
SELECT status FROM redeem_coupon('late', 'BEYOND');
SELECT status FROM redeem_coupon('later', 'BEYOND');
SELECT * FROM coupon_guard_verify();
-- With triggers off
ALTER TABLE coupon_redemption DISABLE TRIGGER coupon_redemption_follow_change;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at) SELECT 13, 'w' || i, 1, '2001-01-01' FROM generate_series(1, 2) i;
SELECT status FROM redeem_coupon('later', 'BEYOND');
DELETE FROM coupon_redemption WHERE coupon_id = 13 AND user_id = 'late';
SELECT status FROM redeem_coupon('later', 'BEYOND');
SELECT status FROM redeem_coupon('last', 'BEYOND');
ALTER TABLE coupon_redemption ENABLE ALWAYS TRIGGER coupon_redemption_follow_change;
SELECT * FROM coupon_guard_verify();
DROP VIEW beyond;

-- After a change of several limits that was rolled back: the row is counted once
INSERT INTO coupon (id, code, max_redemptions, budget) VALUES (21, 'PAIR1', 3, NULL), (22, 'PAIR2', 3, NULL), (23, 'CARD', NULL, 100);
SELECT r.status, count(*) FROM generate_series(1, 2) i, unnest('{PAIR1,CARD}'::text[]) code, LATERAL redeem_coupon(i, code, amount => 1) r GROUP BY 1;
BEGIN;
SAVEPOINT s;
UPDATE coupon SET max_redemptions = 1 WHERE code ~ '^PAIR';
\echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no, amount) VALUES (23, 'u1', 1, 30);
SELECT sum(remaining) FROM coupon_quota WHERE owner_id = 23;
COMMIT;
SELECT * FROM coupon_guard_verify();

DROP VIEW state;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
