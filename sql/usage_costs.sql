-- What looking costs, in rows of the ledger and not in time: coupon_usage reads each row once for all coupons, and for one coupon the
-- rows of that coupon, whatever the planner knows; coupon_guard_verify() reads the ledger once.
CREATE EXTENSION coupon_guard;

-- Rows of the ledger that a query reads, index entries included, by the counters of this transaction.
\set ECHO none
CREATE FUNCTION pg_temp.rows_read() RETURNS bigint LANGUAGE sql AS $$
  SELECT pg_stat_get_xact_tuples_returned('coupon_redemption'::regclass)
    + sum(pg_stat_get_xact_tuples_returned(indexrelid)) FROM pg_index WHERE indrelid = 'coupon_redemption'::regclass
$$;
CREATE FUNCTION pg_temp.reads(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  before bigint := pg_temp.rows_read();
BEGIN
  EXECUTE 'SELECT count(q) FROM (' || query || ') q'; -- of whole rows: a column that nobody asks for need not be counted
  RETURN pg_temp.rows_read() - before;
END $$;

-- A hold is in two of the indexes that are read, every other row in one.
CREATE PROCEDURE pg_temp.fill(coupons int, redemptions int, coupon_of text) LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE coupon, coupon_redemption;
  INSERT INTO coupon (id, code, max_per_user) SELECT i, 'CODE' || i, NULL FROM generate_series(1, coupons) i;
  EXECUTE format($fill$
    INSERT INTO coupon_redemption (coupon_id, user_id, use_no, hold_expires_at, voided_at)
    SELECT %s, i, 1, CASE WHEN i %% 7 = 0 THEN timestamptz '2101-01-01' END, CASE WHEN i %% 11 = 1 THEN now() END
    FROM generate_series(1, %s) i$fill$, coupon_of, redemptions);
END $$;
CREATE VIEW looks AS
  WITH whole AS (SELECT count(*) + count(*) FILTER (WHERE hold_expires_at IS NOT NULL AND voided_at IS NULL) AS entries FROM coupon_redemption),
       one AS (SELECT count(*) + count(*) FILTER (WHERE hold_expires_at IS NOT NULL AND voided_at IS NULL) AS entries FROM coupon_redemption WHERE coupon_id = 7)
  SELECT pg_temp.reads('SELECT * FROM coupon_usage') <= whole.entries AS all_coupons,
         pg_temp.reads('SELECT * FROM coupon_usage WHERE coupon_id = 7') <= one.entries AS by_id,
         pg_temp.reads('SELECT * FROM coupon_usage WHERE code = ''CODE7''') <= one.entries AS by_code,
         pg_temp.reads('SELECT u.* FROM coupon c JOIN coupon_usage u ON u.coupon_id = c.id WHERE c.code_key = ''code7''') <= one.entries AS by_code_key,
         pg_temp.reads('SELECT * FROM coupon_guard_verify()') <= (SELECT count(*) FROM coupon_redemption) AS everything_checked
  FROM one, whole;
\set ECHO all

-- 200 coupons, and rows of all of them
CALL pg_temp.fill(200, 20000, '1 + i % 200');
SELECT * FROM looks;
ANALYZE coupon, coupon_redemption;
SELECT * FROM looks;
VACUUM coupon, coupon_redemption;
SELECT * FROM looks;

-- 200 coupons, and rows of one of them, which is another one
CALL pg_temp.fill(200, 20000, '8');
SELECT * FROM looks;
ANALYZE coupon, coupon_redemption;
SELECT * FROM looks;
SELECT code, redeemed, held, voided FROM coupon_usage WHERE redeemed + held + voided > 0;
SELECT * FROM coupon_guard_verify();
DROP VIEW looks;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
