-- The limit per user is exact, whatever it is and whatever was done to the ledger.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, max_per_user) VALUES ('ONCE', 1), ('THRICE', 3), ('ALWAYS', NULL);
INSERT INTO coupon (code) VALUES ('DEFAULT');

-- So many redemptions one after the other. (In a FROM list the function would be called once, and its answer joined.)
CREATE FUNCTION pg_temp.redeem_times(times int, user_id text, code text)
RETURNS TABLE (call int, status coupon_status, use_no int) LANGUAGE plpgsql AS $$
BEGIN
  FOR call IN 1 .. times LOOP
    RETURN QUERY SELECT call, r.status, r.use_no FROM redeem_coupon(user_id, code) r;
  END LOOP;
END $$;

SELECT call, status, use_no FROM pg_temp.redeem_times(3, 'ann', 'ONCE');
SELECT call, status, use_no FROM pg_temp.redeem_times(5, 'ann', 'THRICE');
SELECT call, status, use_no FROM pg_temp.redeem_times(2, 'ann', 'DEFAULT');
SELECT status, count(*), min(use_no), max(use_no) FROM pg_temp.redeem_times(1000, 'ann', 'ALWAYS') GROUP BY status;
-- Other users are another matter.
SELECT call, status, use_no FROM pg_temp.redeem_times(2, 'bob', 'ONCE');
SELECT call, status, use_no FROM pg_temp.redeem_times(1, 'bob', 'THRICE');

-- already_redeemed names the latest redemption.
SELECT r.status, r.redemption_id = (SELECT max(id) FROM coupon_redemption WHERE user_id = 'ann' AND coupon_id = r.coupon_id) AS latest
  FROM redeem_coupon('ann'::text, 'THRICE') r;

-- A raised limit lets that many more through; a lowered one takes nothing back and lets none through.
UPDATE coupon SET max_per_user = 5 WHERE code = 'THRICE';
SELECT call, status, use_no FROM pg_temp.redeem_times(3, 'ann', 'THRICE');
UPDATE coupon SET max_per_user = 2 WHERE code = 'THRICE';
SELECT call, status FROM pg_temp.redeem_times(1, 'ann', 'THRICE');
SELECT call, status, use_no FROM pg_temp.redeem_times(2, 'bob', 'THRICE');
SELECT user_id, count(*) FROM coupon_redemption WHERE coupon_id = 2 GROUP BY user_id ORDER BY user_id;
UPDATE coupon SET max_per_user = NULL WHERE code = 'THRICE';
SELECT call, status, use_no FROM pg_temp.redeem_times(1, 'ann', 'THRICE');
UPDATE coupon SET max_per_user = 6 WHERE code = 'THRICE';
SELECT call, status FROM pg_temp.redeem_times(1, 'ann', 'THRICE');

-- Redemptions that the shop deletes can be had again, that many and no more, wherever the gaps are: of a user who has redeemed
-- up to the limit, some are deleted; then one redemption more than that is tried.
\set ECHO none
CREATE FUNCTION pg_temp.redeem_again(max_per_user int, deleted int[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM coupon_redemption WHERE user_id = 'gaps';
  UPDATE coupon SET max_per_user = redeem_again.max_per_user WHERE code = 'THRICE';
  PERFORM pg_temp.redeem_times(max_per_user, 'gaps', 'THRICE');
  DELETE FROM coupon_redemption WHERE user_id = 'gaps' AND use_no = ANY (deleted);
  RETURN (SELECT string_agg(CASE status WHEN 'redeemed' THEN use_no::text ELSE 'no more' END, ', ' ORDER BY call)
            FROM pg_temp.redeem_times(cardinality(deleted) + 1, 'gaps', 'THRICE'));
END $$;
\set ECHO all
SELECT max_per_user, deleted, pg_temp.redeem_again(max_per_user, deleted)
  FROM (VALUES (1, '{1}'::int[]), (4, '{1}'), (4, '{2}'), (4, '{4}'), (4, '{1,3}'), (4, '{2,3}'), (4, '{1,2,3,4}'), (4, '{}'))
    AS case_of (max_per_user, deleted);
-- Every subset of five: each deleted number once, then no more.
SELECT count(*) AS subsets, count(*) FILTER (WHERE numbers = (deleted::text[] || 'no more'::text)) AS exact
  FROM (SELECT deleted, ARRAY(SELECT n FROM unnest(string_to_array(again, ', ')) n ORDER BY n COLLATE "C") AS numbers
          FROM (SELECT deleted, pg_temp.redeem_again(5, deleted) AS again
                  FROM (SELECT ARRAY(SELECT n FROM generate_series(1, 5) n WHERE subset >> (n - 1) & 1 = 1) AS deleted
                          FROM generate_series(0, 31) subset) subsets) runs) results;

-- The latest redemption is the one redeemed last, whatever its number.
SELECT pg_temp.redeem_again(3, '{1}');
SELECT call, status, use_no FROM pg_temp.redeem_times(1, 'gaps', 'THRICE');

-- Rows are counted, not numbers: a use number above a lowered limit is one use.
SELECT pg_temp.redeem_again(6, '{}');
DELETE FROM coupon_redemption WHERE user_id = 'gaps' AND use_no < 5;
UPDATE coupon SET max_per_user = 3 WHERE code = 'THRICE';
SELECT call, status FROM pg_temp.redeem_times(2, 'gaps', 'THRICE');

-- Rows that the shop writes by hand count, up to the largest number there is.
INSERT INTO coupon_redemption (coupon_id, user_id, use_no)
  SELECT id, 'hand', 2147483647 FROM coupon WHERE code IN ('ALWAYS', 'ONCE');
SELECT call, status, use_no FROM pg_temp.redeem_times(1, 'hand', 'ONCE');
SELECT call, status, use_no FROM pg_temp.redeem_times(2, 'hand', 'ALWAYS');

DROP FUNCTION pg_temp.redeem_again, pg_temp.redeem_times;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
