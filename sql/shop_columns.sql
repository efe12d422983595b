-- What a shop adds to the ledger holds for redeem_coupon() too: columns, defaults, constraints, indexes, foreign keys.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('ONCE'), ('OTHER');

-- NOT NULL on a column of the guard's own that it may leave empty, and nothing else
ALTER TABLE coupon_redemption ALTER COLUMN metadata SET NOT NULL;
\set VERBOSITY terse
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT status FROM redeem_coupon('emil'::text, 'ONCE', metadata => '{}');
ALTER TABLE coupon_redemption ALTER COLUMN metadata DROP NOT NULL;
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
DELETE FROM coupon_redemption;
SELECT status FROM redeem_coupon('before'::text, 'ONCE');

-- Columns
CREATE DOMAIN channel AS text DEFAULT 'web' NOT NULL;
CREATE SEQUENCE shop_no START 100;
ALTER TABLE coupon_redemption
  ADD COLUMN nothing text,
  ADD COLUMN constant int DEFAULT 17,
  ADD COLUMN month date DEFAULT date_trunc('month', timestamp '2001-02-03'),
  ADD COLUMN shop_no bigint DEFAULT nextval('shop_no'),
  ADD COLUMN serial_no bigint GENERATED ALWAYS AS IDENTITY (START 500),
  ADD COLUMN shown text GENERATED ALWAYS AS (upper(user_id) || '/' || use_no) STORED,
  ADD COLUMN channel channel,
  ADD COLUMN by_whom text DEFAULT current_setting('shop.clerk', true);
SET shop.clerk = 'eve';
SELECT status FROM redeem_coupon('ann'::text, 'ONCE');
ALTER TABLE coupon_redemption DROP COLUMN constant;
ALTER TABLE coupon_redemption ALTER COLUMN nothing SET DEFAULT 'something';
SELECT status FROM redeem_coupon('bob'::text, 'ONCE');
SELECT user_id, nothing, month, shop_no, serial_no, shown, channel, by_whom FROM coupon_redemption ORDER BY id;

-- NOT NULL without a default, also when a domain says so
DELETE FROM coupon_redemption;
\set VERBOSITY terse
ALTER TABLE coupon_redemption ADD COLUMN order_no bigint NOT NULL;
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE coupon_redemption DROP COLUMN order_no;
CREATE DOMAIN order_no AS bigint NOT NULL;
ALTER TABLE coupon_redemption ADD COLUMN order_no order_no;
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE coupon_redemption DROP COLUMN order_no;

-- CHECK constraints
ALTER TABLE coupon_redemption ADD CONSTRAINT no_robots CHECK (user_id <> 'robot');
SELECT status FROM redeem_coupon('robot'::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');

-- Another unique index: its violation is an error as for any INSERT, not the guard's refusal.
CREATE UNIQUE INDEX one_coupon_per_user ON coupon_redemption (user_id);
SELECT status FROM redeem_coupon('carl'::text, 'OTHER');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon('carl'::text, 'ONCE');
DROP INDEX one_coupon_per_user;
ALTER TABLE coupon_redemption ADD CONSTRAINT one_coupon_per_user UNIQUE (user_id) DEFERRABLE INITIALLY DEFERRED;
BEGIN;
SELECT status FROM redeem_coupon('carl'::text, 'OTHER');
COMMIT;
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE coupon_redemption DROP CONSTRAINT one_coupon_per_user;
-- ... also one on the guard's own columns, or more of them, or fewer, or in part.
CREATE UNIQUE INDEX twin ON coupon_redemption (coupon_id, user_id, use_no);
CREATE UNIQUE INDEX longer ON coupon_redemption (coupon_id, user_id, use_no, redeemed_at);
CREATE UNIQUE INDEX partly ON coupon_redemption (coupon_id, user_id, use_no) WHERE user_id > 'm';
CREATE INDEX expression ON coupon_redemption (upper(user_id)) WHERE metadata IS NOT NULL;
SELECT status FROM redeem_coupon('dora'::text, 'ONCE', metadata => '{}');
SELECT status FROM redeem_coupon('dora'::text, 'ONCE');
SET enable_seqscan = off;
SELECT user_id FROM coupon_redemption WHERE upper(user_id) = 'DORA' AND metadata IS NOT NULL;
RESET enable_seqscan;
DROP INDEX twin, longer, partly, expression;
-- An exclusion constraint
ALTER TABLE coupon_redemption ADD CONSTRAINT one_at_a_time EXCLUDE USING btree (user_id WITH =);
SELECT status FROM redeem_coupon('dora'::text, 'OTHER');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE coupon_redemption DROP CONSTRAINT one_at_a_time;

-- Foreign keys: from the ledger, at once or at commit; and to it
CREATE TABLE customer (id text COLLATE "C" PRIMARY KEY);
INSERT INTO customer VALUES ('known'), ('leaving');
DELETE FROM coupon_redemption;
ALTER TABLE coupon_redemption ADD CONSTRAINT of_customer FOREIGN KEY (user_id) REFERENCES customer ON DELETE CASCADE;
SELECT status FROM redeem_coupon('known'::text, 'ONCE');
SELECT status FROM redeem_coupon('unknown'::text, 'ONCE');
\echo :LAST_ERROR_SQLSTATE
ALTER TABLE coupon_redemption ALTER CONSTRAINT of_customer DEFERRABLE INITIALLY DEFERRED;
BEGIN;
SELECT status FROM redeem_coupon('later'::text, 'ONCE');
INSERT INTO customer VALUES ('later');
COMMIT;
BEGIN;
SELECT status FROM redeem_coupon('unknown'::text, 'ONCE');
COMMIT;
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE orders (id int, redemption_id bigint REFERENCES coupon_redemption);
BEGIN;
INSERT INTO orders SELECT 1, redemption_id FROM redeem_coupon('known'::text, 'OTHER');
COMMIT;
SELECT count(*) FROM orders o JOIN coupon_redemption l ON l.id = o.redemption_id;
SELECT status FROM redeem_coupon('leaving'::text, 'ONCE');
DELETE FROM customer WHERE id = 'leaving';
SELECT user_id FROM coupon_redemption ORDER BY id;
-- From the ledger to the coupons, for a shop that wants it
ALTER TABLE coupon_redemption ADD FOREIGN KEY (coupon_id) REFERENCES coupon;
SELECT status FROM redeem_coupon('later'::text, 'OTHER');

-- Replica identity: a publication wants none for an INSERT; statistics and storage do not matter.
ALTER TABLE coupon_redemption SET (fillfactor = 50);
ALTER TABLE coupon_redemption REPLICA IDENTITY NOTHING;
ALTER TABLE coupon_redemption CLUSTER ON coupon_redemption_pkey;
CLUSTER coupon_redemption;
VACUUM FULL coupon_redemption;
INSERT INTO customer VALUES ('last');
SELECT status FROM redeem_coupon('last'::text, 'OTHER');
SELECT status FROM redeem_coupon('last'::text, 'OTHER');

DROP TABLE orders;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
DROP TABLE customer;
DROP SEQUENCE shop_no;
DROP DOMAIN channel, order_no;
