-- A row somewhere in a ledger that has :rows rows.
\set customer random(1000000000, 1000000000 + :rows)
\set shade random(1, 1000000000)
INSERT INTO bare.ledger (coupon_id, user_id, use_no) VALUES (1, :customer::text || '-' || :shade::text, 1)
ON CONFLICT DO NOTHING;
