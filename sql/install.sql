-- The extension installs, and its first result is a screen away.
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('SAVE10');
SELECT status, redemption_id, coupon_id, use_no, redeemed_at <= clock_timestamp() AS in_time, terms
  FROM redeem_coupon(1, 'SAVE10');
SELECT status, redemption_id, coupon_id, use_no FROM redeem_coupon(1, 'SAVE10');

-- The library is of the version that the catalogs say.
SELECT coupon_guard_version() = extversion AS same_version FROM pg_extension WHERE extname = 'coupon_guard';

-- Everything a user can see has a comment.
WITH object AS (
  SELECT classid, objid, 0 AS objsubid FROM pg_depend
   WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
     AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard')
     AND NOT (classid = 'pg_class'::regclass
              AND objid IN (SELECT oid FROM pg_class WHERE relkind NOT IN ('r', 'v')))
     AND NOT (classid = 'pg_type'::regclass AND objid IN (SELECT oid FROM pg_type WHERE typtype <> 'e'))
     AND classid <> 'pg_trigger'::regclass
)
SELECT pg_describe_object(classid, objid, objsubid) AS has_no_comment FROM object
 WHERE obj_description(objid, classid::regclass::name) IS NULL ORDER BY 1;

-- Every table has a primary key, as logical replication wants.
SELECT c.relname AS has_no_primary_key FROM pg_class c
  JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
 WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard') AND c.relkind = 'r'
   AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary);

-- Dropped and made again in one session, it starts from nothing.
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
CREATE EXTENSION coupon_guard;
SELECT count(*) FROM coupon;
SELECT status FROM redeem_coupon(1, 'SAVE10');
INSERT INTO coupon (code) VALUES ('SAVE10');
SELECT status, redemption_id FROM redeem_coupon(1, 'SAVE10');
-- ... also when the first one is rolled back,
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
BEGIN;
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('SAVE10');
SELECT status FROM redeem_coupon(1, 'SAVE10');
ROLLBACK;
SELECT status FROM redeem_coupon(1, 'SAVE10');
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('SAVE10');
SELECT status FROM redeem_coupon(1, 'SAVE10');
-- ... and when the drop is.
BEGIN;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
ROLLBACK;
SELECT status FROM redeem_coupon(1, 'SAVE10');
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
