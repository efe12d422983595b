-- A coupon that has redemptions stays: it cannot be deleted, truncated away or renumbered, and the error names the way out.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (id, code) VALUES (101, 'USED'), (102, 'FRESH'), (103, 'SPARE');
SELECT status FROM redeem_coupon(1, 'USED');

DELETE FROM coupon WHERE code = 'USED';
\echo :LAST_ERROR_SQLSTATE
DELETE FROM coupon;
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon SET id = 201 WHERE code = 'USED';
\echo :LAST_ERROR_SQLSTATE
TRUNCATE coupon;
\echo :LAST_ERROR_SQLSTATE
MERGE INTO coupon USING (VALUES ('USED')) AS old (code) ON coupon.code = old.code WHEN MATCHED THEN DELETE;
\echo :LAST_ERROR_SQLSTATE
SELECT id, code FROM coupon ORDER BY id;

-- The way out
UPDATE coupon SET active = false WHERE code = 'USED';
SELECT status FROM redeem_coupon(2, 'USED');

-- Every other change is free: a coupon without redemptions, and every other column.
DELETE FROM coupon WHERE code = 'FRESH';
UPDATE coupon SET id = 203 WHERE code = 'SPARE';
UPDATE coupon SET id = 101, code = 'USED-2' WHERE code = 'USED';
SELECT id, code FROM coupon ORDER BY id;

-- The message clips a long code and names one that is not there.
UPDATE coupon SET code = repeat('x', 100) WHERE id = 101;
DELETE FROM coupon WHERE id = 101;
UPDATE coupon SET code = 'USED' WHERE id = 101;

-- A redemption of this transaction counts; one that was undone does not, nor one deleted from the ledger.
BEGIN;
SAVEPOINT s;
SELECT status FROM redeem_coupon(1, 'SPARE');
DELETE FROM coupon WHERE code = 'SPARE';
ROLLBACK TO s;
DELETE FROM coupon WHERE code = 'SPARE';
ROLLBACK;
BEGIN;
SAVEPOINT s;
DELETE FROM coupon_redemption;
DELETE FROM coupon;
SELECT count(*) FROM coupon;
ROLLBACK TO s;
DELETE FROM coupon_redemption;
TRUNCATE coupon;
SELECT count(*) FROM coupon;
ROLLBACK TO s;
-- Both at once is what the hint says.
TRUNCATE coupon, coupon_redemption;
SELECT count(*) FROM coupon;
ROLLBACK;

-- With the right id the coupon comes back to its redemptions, be it after an ON CONFLICT or from a backup.
SET session_replication_role = replica;
DELETE FROM coupon WHERE id = 101;
RESET session_replication_role;
INSERT INTO coupon (id, code) VALUES (101, 'USED');
SELECT status FROM redeem_coupon(1, 'USED');
INSERT INTO coupon (code) VALUES ('used') ON CONFLICT (code_key) DO UPDATE SET active = false;
SELECT status FROM redeem_coupon(1, 'USED');

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
