-- 1,000 users in one statement: the rows alone.
\set first random(1, 1000000000000)
INSERT INTO bare.ledger (coupon_id, user_id, use_no)
SELECT 1, :first::bigint + number, 1 FROM generate_series(1, 1000) number ON CONFLICT DO NOTHING;
