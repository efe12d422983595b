-- 1,000 users in one statement.
\set first random(1, 1000000000000)
SELECT count(*) FROM generate_series(1, 1000) number, guard.redeem_coupon((:first::bigint + number)::text, 'UNCAPPED');
