-- 64 users in one statement, each with a request id: the rows alone, from the same arrays.
\set first random(1, 1000000000000)
INSERT INTO bare.ledger (coupon_id, user_id, use_no, request_id)
SELECT 1, user_id, 1, request_id
FROM unnest(ARRAY(SELECT :first::bigint + number FROM generate_series(1, 64) number), array_fill('CAPPED'::text, ARRAY[64]),
    ARRAY(SELECT 'request-' || (:first::bigint + number) FROM generate_series(1, 64) number))
    WITH ORDINALITY AS calls (user_id, code, request_id, call_number)
ON CONFLICT DO NOTHING;
