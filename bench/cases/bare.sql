-- The limit: the row alone, no coupon looked up.
\set customer random(1, 1000000000000)
INSERT INTO bare.ledger (coupon_id, user_id, use_no) VALUES (1, :customer, 1) ON CONFLICT DO NOTHING;
