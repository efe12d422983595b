-- 64 users in one statement: the rows alone, from the same arrays.
\set first random(1, 1000000000000)
INSERT INTO bare.ledger (coupon_id, user_id, use_no)
SELECT 1, user_id, 1
FROM unnest(ARRAY(SELECT :first::bigint + number FROM generate_series(1, 64) number), array_fill('CAPPED'::text, ARRAY[64]))
    WITH ORDINALITY AS calls (user_id, code, call_number)
ON CONFLICT DO NOTHING;
