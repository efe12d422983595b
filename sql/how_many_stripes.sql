-- A quota has no more rows than it needs: a few until buyers stand in each other's way, or as many as the coupon says; never more than units.
\a \t
CREATE EXTENSION coupon_guard;
\set VERBOSITY sqlstate
CREATE VIEW pg_temp.quota AS
SELECT c.code, count(q.stripe) AS stripes, sum(q.remaining) AS units FROM coupon c LEFT JOIN coupon_quota q ON q.owner_id = c.id GROUP BY c.id, c.code ORDER BY c.id;

-- As many as the coupon says, all at once
INSERT INTO coupon (code, max_redemptions, stripes) VALUES ('1 of 100', 100, 1), ('8 of 100', 100, 8), ('64 of 200', 200, 64),
  ('1024 of 5000', 5000, 1024), ('8 of 3', 3, 8), ('8 of 1', 1, 8);
SELECT code, status FROM coupon, LATERAL redeem_coupon(0, code) ORDER BY id;
SELECT code, CASE WHEN units > 2 THEN stripes END AS stripes, stripes <= units + 1 AS not_too_many, units FROM pg_temp.quota;
SET coupon_guard.quota_stripes = 2;
INSERT INTO coupon (code, max_redemptions, stripes) VALUES ('16 of 100', 100, 16);
SELECT status FROM redeem_coupon(0, '16 of 100');
SELECT * FROM pg_temp.quota WHERE code = '16 of 100';
RESET coupon_guard.quota_stripes;
-- Without a word, by the setting, and to begin with a few
INSERT INTO coupon (code, max_redemptions) VALUES ('any of 1', 1), ('any of 3', 3), ('any of 100', 100), ('any of 1000000', 1000000);
SET coupon_guard.quota_stripes = 2;
INSERT INTO coupon (code, max_redemptions) VALUES ('any of 200', 200);
RESET coupon_guard.quota_stripes;
SELECT code, status FROM coupon, LATERAL redeem_coupon(0, code) WHERE code LIKE 'any%' ORDER BY id;
SELECT code, stripes <= CASE code WHEN 'any of 200' THEN 2 ELSE 4 END AS few, units FROM pg_temp.quota WHERE code LIKE 'any%';
-- In bulk: nothing for a single-use code before it is used, a few rows for another one
INSERT INTO coupon (code, max_redemptions) SELECT 'S' || i, 1 FROM generate_series(1, 2000) i;
INSERT INTO coupon (code, max_redemptions) SELECT 'M' || i, 100 FROM generate_series(1, 2000) i;
SELECT count(*) FILTER (WHERE c.max_redemptions = 1) AS single_use, count(*) FILTER (WHERE c.max_redemptions = 100) <= 4 * 2000 AS few
  FROM coupon_quota q JOIN coupon c ON c.id = q.owner_id WHERE c.code ~ '^[SM]';
SELECT * FROM coupon_guard_verify();

-- The number may be changed, before and after units are used: as many are sold as there are.
TRUNCATE coupon, coupon_redemption;
INSERT INTO coupon (code, max_redemptions) VALUES ('TEN', 10);
SELECT r.status, count(*) FROM generate_series(1, 3) i, LATERAL redeem_coupon(i, 'TEN') r GROUP BY 1;
UPDATE coupon SET stripes = 8;
SELECT r.status, count(*) FROM generate_series(4, 6) i, LATERAL redeem_coupon(i, 'TEN') r GROUP BY 1;
UPDATE coupon SET stripes = 1, max_redemptions = 12;
SELECT r.status, count(*) FROM generate_series(7, 9) i, LATERAL redeem_coupon(i, 'TEN') r GROUP BY 1;
UPDATE coupon SET stripes = NULL;
SELECT r.status, count(*) FROM generate_series(10, 20) i, LATERAL redeem_coupon(i, 'TEN') r GROUP BY 1 ORDER BY 1;
SELECT * FROM coupon_guard_verify();
-- From 1 to 1024
\set VERBOSITY terse
UPDATE coupon SET stripes = 0;
UPDATE coupon SET stripes = 1025;
INSERT INTO coupon (code, stripes) VALUES ('LESS', -1);
INSERT INTO coupon (code, stripes) VALUES ('UNCAPPED', 7);
SELECT status FROM redeem_coupon(1, 'UNCAPPED');
SELECT * FROM pg_temp.quota WHERE code = 'UNCAPPED';
-- Where that CHECK is gone, another number is no reason for anything but an error, or as if none had been said.
ALTER TABLE coupon DROP CONSTRAINT coupon_stripes_in_range;
\set VERBOSITY sqlstate
CREATE FUNCTION pg_temp.redeem_with(n int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO coupon (code, max_redemptions, stripes) VALUES (%L, 5, %s)', 'N' || n, n);
  RETURN (SELECT string_agg(status::text, ' ') FROM generate_series(1, 6) i, LATERAL redeem_coupon(i, 'N' || n));
EXCEPTION WHEN OTHERS THEN
  RETURN sqlstate;
END $$;
SELECT n, pg_temp.redeem_with(n) IN ('23514', '55000', 'redeemed redeemed redeemed redeemed redeemed sold_out') AS right_or_refused FROM unnest('{0, -5, 1025, 2147483647}'::int[]) n;

DROP VIEW pg_temp.quota;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
