-- 64 users in one statement, each call with a request id.
\set first random(1, 1000000000000)
SELECT call_number, status, redemption_id, terms, replayed
FROM unnest(ARRAY(SELECT :first::bigint + number FROM generate_series(1, 64) number), array_fill('CAPPED'::text, ARRAY[64]),
    ARRAY(SELECT 'request-' || (:first::bigint + number) FROM generate_series(1, 64) number))
    WITH ORDINALITY AS calls (user_id, code, request_id, call_number),
  LATERAL guard.redeem_coupon(user_id, code, request_id);
