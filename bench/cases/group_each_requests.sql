-- 64 users in one statement, by the function that is made for them, each call with a request id.
\set first random(1, 1000000000000)
SELECT ordinality, status, redemption_id, terms, replayed
FROM guard.redeem_coupon_for_each(
    ARRAY(SELECT :first::bigint + number FROM generate_series(1, 64) number), array_fill('CAPPED'::text, ARRAY[64]),
    ARRAY(SELECT 'request-' || (:first::bigint + number) FROM generate_series(1, 64) number))
    WITH ORDINALITY;
