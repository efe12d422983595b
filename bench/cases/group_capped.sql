-- 64 users in one statement, as a redeemer for many callers sends it (docs/grouping.md). Users and codes are made before the first call.
\set first random(1, 1000000000000)
SELECT call_number, status, redemption_id, terms, replayed
FROM unnest(ARRAY(SELECT :first::bigint + number FROM generate_series(1, 64) number), array_fill('CAPPED'::text, ARRAY[64]))
    WITH ORDINALITY AS calls (user_id, code, call_number),
  LATERAL guard.redeem_coupon(user_id, code);
