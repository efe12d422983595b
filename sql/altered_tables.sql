-- Tables that are not as the extension made them are a clear error, never a misread row: also in a session that knew them before.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, terms) VALUES ('ONCE', '{}'), ('OTHER', NULL);
SELECT status FROM redeem_coupon(1, 'ONCE');

BEGIN;
ALTER TABLE coupon_redemption RENAME TO ledger;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon RENAME TO offer;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon_redemption RENAME COLUMN user_id TO customer;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon_redemption DROP COLUMN metadata;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon DROP COLUMN max_per_user;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon_redemption ALTER COLUMN redeemed_at DROP DEFAULT, ALTER COLUMN redeemed_at TYPE date;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon_redemption ALTER COLUMN user_id TYPE text COLLATE "POSIX";
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon ALTER COLUMN max_per_user TYPE bigint;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon_redemption ALTER COLUMN id DROP IDENTITY;
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- Without its unique indexes there is no arbiter, and no redemption: dropped, deferred, or with other columns.
BEGIN;
DO $$
DECLARE
  arbiter record;
BEGIN
  SELECT i.indexrelid::regclass AS index, c.conname INTO STRICT arbiter
    FROM pg_index i LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid
   WHERE i.indrelid = 'coupon_redemption'::regclass AND i.indnkeyatts = 3 AND i.indkey[0] = (SELECT attnum FROM pg_attribute WHERE attrelid = i.indrelid AND attname = 'coupon_id');
  IF arbiter.conname IS NULL THEN
    EXECUTE format('DROP INDEX %s', arbiter.index);
  ELSE
    EXECUTE format('ALTER TABLE coupon_redemption DROP CONSTRAINT %I', arbiter.conname);
  END IF;
END $$;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon DROP CONSTRAINT coupon_code_key_unique;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon DROP CONSTRAINT coupon_code_key_unique, ADD UNIQUE (code_key) DEFERRABLE;
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- The delete trigger does not guess either.
BEGIN;
ALTER TABLE coupon_redemption RENAME COLUMN coupon_id TO offer_id;
DELETE FROM coupon WHERE code = 'ONCE';
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- A NULL where none may be
BEGIN;
ALTER TABLE coupon ALTER COLUMN active DROP NOT NULL;
UPDATE coupon SET active = NULL WHERE code = 'ONCE';
SELECT status FROM redeem_coupon(2, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
-- (Columns that coupon_guard_verify() names cannot be changed at all: PostgreSQL says so.)
-- The enum
BEGIN;
ALTER TYPE coupon_status RENAME VALUE 'redeemed' TO 'done';
SELECT status FROM redeem_coupon(2, 'OTHER');
ROLLBACK;

-- Everything was rolled back: the session still knows its tables.
SELECT status FROM redeem_coupon(1, 'ONCE');
SELECT status FROM redeem_coupon(2, 'ONCE');

-- A table made anew in its place, with the columns in another order, is found as it is.
BEGIN;
ALTER TABLE coupon_redemption RENAME TO old_redemption;
CREATE TABLE coupon_redemption (
  note text, LIKE old_redemption INCLUDING ALL EXCLUDING COMMENTS, extra int DEFAULT 17
);
SELECT status, redemption_id, use_no FROM redeem_coupon(1, 'ONCE');
SELECT user_id, use_no, note, extra FROM coupon_redemption;
SELECT status FROM redeem_coupon(1, 'ONCE');
ROLLBACK;
SELECT user_id, use_no FROM coupon_redemption ORDER BY id;
-- A column dropped and another added leave a hole that is no trouble.
ALTER TABLE coupon_redemption ADD COLUMN gone int DEFAULT 1;
ALTER TABLE coupon ADD COLUMN gone int DEFAULT 1;
SELECT status FROM redeem_coupon(3, 'ONCE');
ALTER TABLE coupon_redemption DROP COLUMN gone, ADD COLUMN stays text DEFAULT 'x';
ALTER TABLE coupon DROP COLUMN gone, ADD COLUMN stays text DEFAULT 'x';
SELECT status FROM redeem_coupon(4, 'ONCE');
SELECT user_id, stays FROM coupon_redemption WHERE user_id > '2' ORDER BY id;
-- It must be an ordinary table: no view, no foreign table, no partitions.
BEGIN;
ALTER TABLE coupon RENAME TO real_coupon;
CREATE VIEW coupon AS SELECT id, code, code_key, active, starts_at, expires_at, max_per_user, terms FROM real_coupon;
SELECT status FROM redeem_coupon(5, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon_redemption RENAME TO real_redemption;
CREATE TABLE coupon_redemption (LIKE real_redemption INCLUDING ALL EXCLUDING INDEXES) PARTITION BY LIST (coupon_id);
SELECT status FROM redeem_coupon(5, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
ALTER TABLE coupon SET UNLOGGED;
ALTER TABLE coupon_redemption SET UNLOGGED;
SELECT status FROM redeem_coupon(6, 'ONCE');
ROLLBACK;
SELECT status FROM redeem_coupon(5, 'ONCE');

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
