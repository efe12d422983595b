-- A capped coupon is redeemed as often as its cap says, never more, and plain SQL on coupon keeps the quota right.
\a \t
CREATE EXTENSION coupon_guard;

-- More buyers than units, one after the other
INSERT INTO coupon (code, max_redemptions) SELECT 'CAP' || cap, cap FROM unnest(ARRAY[1, 2, 63, 64, 65, 1000]) cap;
SELECT c.max_redemptions, r.status, count(*)
  FROM coupon c, generate_series(1, 1010) buyer(id), LATERAL redeem_coupon(buyer.id, c.code) r
 WHERE buyer.id <= c.max_redemptions + 10 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT code, redeemed, remaining_units FROM coupon_usage ORDER BY max_redemptions;
SELECT * FROM coupon_guard_verify();
-- Who has it already is told so, not that it is sold out.
SELECT status FROM redeem_coupon(1, 'CAP2');
SELECT status FROM redeem_coupon(3, 'CAP2');
SELECT status FROM redeem_coupon_strict(3, 'CAP2');
\echo :LAST_ERROR_SQLSTATE
-- Sold out is one row in the quota, the anchor.
SELECT c.code, q.stripe, q.remaining FROM coupon_quota q JOIN coupon c ON c.id = q.owner_id ORDER BY c.max_redemptions;
TRUNCATE coupon, coupon_redemption;

-- The cap and the limit per user are judged each for itself.
INSERT INTO coupon (code, max_redemptions, max_per_user) VALUES ('FIVE', 5, 3), ('ANY', 5, NULL);
SELECT r.status, count(*) FROM generate_series(1, 2) buyer(id), generate_series(1, 4) i, LATERAL redeem_coupon(buyer.id + 0 * i, 'FIVE') r GROUP BY 1 ORDER BY 1;
SELECT r.status, count(*) FROM generate_series(1, 7) i, LATERAL redeem_coupon(1 + 0 * i, 'ANY') r GROUP BY 1 ORDER BY 1;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon, coupon_redemption;

-- A cap is positive.
\set VERBOSITY terse
INSERT INTO coupon (code, max_redemptions) VALUES ('NONE', 0);
INSERT INTO coupon (code, max_redemptions) VALUES ('LESS', -1);
\set VERBOSITY default
INSERT INTO coupon (code, max_redemptions) VALUES ('MOST', 9223372036854775807);
SELECT status FROM redeem_coupon(1, 'MOST');
SELECT remaining_units FROM coupon_usage WHERE code = 'MOST';
SELECT remaining_units FROM check_coupon(2, 'MOST');
UPDATE coupon SET max_redemptions = 1;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon, coupon_redemption;

-- In bulk, by INSERT and by COPY. A single-use code costs no quota row before it is used, and no lasting one for each unit.
INSERT INTO coupon (code, max_redemptions) SELECT 'ONE' || i, 1 FROM generate_series(1, 1000) i;
INSERT INTO coupon (code, max_redemptions) SELECT 'TWO' || i, 2 FROM generate_series(1, 100) i;
COPY coupon (code, max_redemptions) FROM STDIN;
COPY-ONE	1
COPY-THREE	3
COPY-ANY	\N
\.
SELECT c.max_redemptions, count(DISTINCT q.owner_id) AS coupons, count(*) AS stripes, sum(q.remaining)
  FROM coupon_quota q JOIN coupon c ON c.id = q.owner_id GROUP BY 1 ORDER BY 1;
SELECT c.max_redemptions, r.status, count(*) FROM coupon c, generate_series(1, 4) buyer(id), LATERAL redeem_coupon(buyer.id, c.code) r GROUP BY 1, 2 ORDER BY 1, 2;
SELECT * FROM coupon_guard_verify();
-- ON CONFLICT, MERGE
INSERT INTO coupon (code, max_redemptions) VALUES ('two1', 5) ON CONFLICT (code_key) DO UPDATE SET max_redemptions = excluded.max_redemptions;
INSERT INTO coupon (code, max_redemptions) VALUES ('two1', 7) ON CONFLICT DO NOTHING;
MERGE INTO coupon USING (VALUES ('TWO2', 5), ('NEW', 4)) AS wanted (code, cap) ON coupon.code = wanted.code
  WHEN MATCHED THEN UPDATE SET max_redemptions = wanted.cap
  WHEN NOT MATCHED THEN INSERT (code, max_redemptions) VALUES (wanted.code, wanted.cap);
SELECT code, max_redemptions, redeemed, remaining_units FROM coupon_usage WHERE code IN ('TWO1', 'TWO2', 'NEW') ORDER BY code;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon, coupon_redemption;

-- How many stripes: as many as the setting says, or the cap if that is less.
SET coupon_guard.quota_stripes = 4;
INSERT INTO coupon (code, max_redemptions) VALUES ('S3', 3), ('S4', 4), ('S10', 10);
SET coupon_guard.quota_stripes = 1;
INSERT INTO coupon (code, max_redemptions) VALUES ('ONE ROW', 10);
RESET coupon_guard.quota_stripes;
INSERT INTO coupon (code, max_redemptions) VALUES ('S64', 64), ('S65', 65), ('S1000', 1000);
SELECT c.code, count(*), sum(q.remaining), min(q.remaining), max(q.remaining) FROM coupon_quota q JOIN coupon c ON c.id = q.owner_id GROUP BY c.code ORDER BY 2, 3;
SET coupon_guard.quota_stripes = 0;
SET coupon_guard.quota_stripes = 1025;
SET coupon_guard.quota = 1;
TRUNCATE coupon;

-- Raised and lowered; below what is used is an error that says how many. Holds count.
INSERT INTO coupon (code, max_redemptions) VALUES ('TEN', 10);
CREATE VIEW ten AS SELECT max_redemptions, redeemed, held, remaining_units FROM coupon_usage WHERE code LIKE 'TEN%';
SELECT r.status, count(*) FROM generate_series(1, 4) buyer(id), LATERAL redeem_coupon(buyer.id, 'TEN') r GROUP BY 1;
SELECT status FROM hold_coupon(5, 'TEN');
UPDATE coupon SET max_redemptions = 4;
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon SET max_redemptions = 5;
SELECT * FROM ten;
SELECT status FROM redeem_coupon(6, 'TEN');
UPDATE coupon SET max_redemptions = 6;
SELECT status FROM redeem_coupon(6, 'TEN');
SELECT status FROM redeem_coupon(7, 'TEN');
UPDATE coupon SET max_redemptions = 1000;
SELECT * FROM ten;
UPDATE coupon SET max_redemptions = 100;
SELECT * FROM ten;
-- No cap, and a cap again
UPDATE coupon SET max_redemptions = NULL;
SELECT count(*) FROM coupon_quota;
SELECT status FROM redeem_coupon(7, 'TEN');
UPDATE coupon SET max_redemptions = 6;
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon SET max_redemptions = 7;
SELECT status FROM redeem_coupon(8, 'TEN');
SELECT * FROM ten;
-- An expired hold need not stop a lower cap: its unit can be taken.
UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE hold_expires_at IS NOT NULL;
UPDATE coupon SET max_redemptions = 6;
SELECT * FROM ten;
SELECT * FROM coupon_guard_verify();
-- Rolled back, in a savepoint and as a whole
BEGIN;
SAVEPOINT s;
UPDATE coupon SET max_redemptions = 8;
SELECT status FROM redeem_coupon(8, 'TEN');
ROLLBACK TO s;
SELECT status FROM redeem_coupon(8, 'TEN');
UPDATE coupon SET max_redemptions = 7;
SELECT status FROM redeem_coupon(8, 'TEN');
ROLLBACK;
SELECT status FROM redeem_coupon(8, 'TEN');
SELECT * FROM ten;
SELECT * FROM coupon_guard_verify();
-- Several coupons, with and without a cap, in one UPDATE
INSERT INTO coupon (code, max_redemptions) VALUES ('TEN-2', NULL), ('TEN-3', 1), ('TEN-4', 3);
UPDATE coupon SET max_redemptions = coalesce(max_redemptions, 1) + 1;
SELECT * FROM ten ORDER BY 1, 4;
UPDATE coupon SET max_redemptions = max_redemptions;
UPDATE coupon SET terms = '{}';
SELECT * FROM coupon_guard_verify();
DROP VIEW ten;
TRUNCATE coupon, coupon_redemption;
SELECT count(*) FROM coupon_quota;

-- A coupon without redemptions can have another id, with another cap at once, or go.
INSERT INTO coupon (id, code, max_redemptions) VALUES (1001, 'MOVING', 3), (1002, 'GOING', 3), (1003, 'USED', 3);
SELECT status FROM redeem_coupon(1, 'USED');
UPDATE coupon SET id = 2001 WHERE id = 1001;
SELECT owner_id AS coupon_id, sum(remaining) FROM coupon_quota GROUP BY 1 ORDER BY 1;
SELECT status FROM redeem_coupon(1, 'MOVING');
DELETE FROM coupon_redemption WHERE coupon_id = 2001;
UPDATE coupon SET id = 3001, max_redemptions = 5 WHERE id = 2001;
SELECT r.status, count(*) FROM generate_series(1, 6) buyer(id), LATERAL redeem_coupon(buyer.id, 'MOVING') r GROUP BY 1 ORDER BY 1;
DELETE FROM coupon WHERE id = 1002;
UPDATE coupon SET id = 4001 WHERE id = 1003;
SELECT owner_id AS coupon_id, sum(remaining) FROM coupon_quota GROUP BY 1 ORDER BY 1;
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon;
TRUNCATE coupon, coupon_redemption;
SELECT count(*) FROM coupon_quota;

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
